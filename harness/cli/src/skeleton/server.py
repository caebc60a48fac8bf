"""A stand-in for NAME, so that the skeleton runs as it is: the first node serves, the others pass on to it."""
import socket, socketserver, sys

address, port = sys.argv[1], int(sys.argv[2])
first = address.rsplit(".", 1)[0] + ".1"
store = {}

class Serve(socketserver.StreamRequestHandler):
    def handle(self):
        try:
            self.serve()
        except OSError:
            pass  # the client hung up

    def serve(self):
        upstream = None if address == first else socket.create_connection((first, port)).makefile("rw")
        for line in self.rfile:
            if upstream:
                upstream.write(line.decode())
                upstream.flush()
                answer = upstream.readline()
            else:
                answer = act(line.decode().split()) + "\n"
            self.wfile.write(answer.encode())

def act(words):
    if words[0] == "get":
        return store.get(words[1], "none")
    if words[0] == "cas" and store.get(words[1], "none") != words[2]:
        return "mismatch"
    store[words[1]] = words[-1]
    return "done"

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True

Server((address, port), Serve).serve_forever()
