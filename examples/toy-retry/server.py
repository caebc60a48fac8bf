"""A list server, as simple as they come, over TCP and UDP: `NUMBER add KEY ELEMENT` or `NUMBER read KEY` gets a line that begins with NUMBER."""
import socketserver, sys, threading
lists, lock = {}, threading.Lock()

def answer(line):
    number, what, key, *element = line.decode().split()
    with lock:
        found = lists.setdefault(key, [])
        if what == "add":
            found += element  # asked twice, it is there twice: nobody looks at the number
        return " ".join([number, *found] if what == "read" else [number]).encode() + b"\n"

class Stream(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(answer(line))

class Datagram(socketserver.DatagramRequestHandler):
    def handle(self):
        self.wfile.write(answer(self.rfile.readline()))

place = (sys.argv[1], int(sys.argv[2]))
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer.daemon_threads = True
threading.Thread(target=socketserver.UDPServer(place, Datagram).serve_forever, daemon=True).start()
socketserver.ThreadingTCPServer(place, Stream).serve_forever()
