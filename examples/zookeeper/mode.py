"""What a server says of itself: the four-letter word srvr."""
import socket, sys

with socket.create_connection((sys.argv[1], int(sys.argv[2])), 1) as s:
    s.settimeout(1)
    s.sendall(b"srvr")
    while part := s.recv(4096):
        sys.stdout.write(part.decode())
