"""A list server, as simple as they come: a line `add KEY ELEMENT` or `read KEY` is answered by a line, over TCP and over UDP."""
import socketserver, sys, threading
lists, lock = {}, threading.Lock()

def answer(line):
    words = line.decode().split()
    with lock:
        found = lists.setdefault(words[1], [])
        if words[0] == "add":
            found.append(words[2])  # asked twice, it is there twice
            return b"done\n"
        return (" ".join(found) + "\n").encode()

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
