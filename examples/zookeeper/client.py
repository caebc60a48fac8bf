"""A client of ZooKeeper on nothing but the standard library: a register is a znode.

Error table (ZooKeeper's KeeperException): NoNode, NodeExists and BadVersion say that nothing was done; whatever
else goes wrong with a change is `info`.
"""
import json, os, queue, socket, struct, sys, threading

SYNC = os.environ.get("READ") != "plain"
CREATE, GET, SET, SYNC_OP, PING, CLOSE = 1, 4, 5, 9, 11, -11
NO_NODE, BAD_VERSION, NODE_EXISTS = -101, -103, -110
TIMEOUT_MS = 10000
out = threading.Lock()

def say(answer):
    with out:
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()

class Refused(Exception):
    """The server answered with an error code."""

def text(b):
    b = b.encode() if isinstance(b, str) else b
    return struct.pack("!i", len(b)) + b

class Session:
    def __init__(self, ask):
        sock = socket.create_connection((ask["host"], ask["port"]), 2, (ask.get("bind", ""), 0))
        self.file, self.xid = sock.makefile("rwb"), 0
        self.send(struct.pack("!iqiq", 0, 0, TIMEOUT_MS, 0) + text(bytes(16)))
        self.receive()

    def send(self, packet):
        self.file.write(text(packet))
        self.file.flush()

    def receive(self):
        head = self.file.read(4)
        if len(head) < 4:
            raise OSError("the connection was closed")
        return self.file.read(struct.unpack("!i", head)[0])

    def call(self, kind, body=b""):
        self.xid += 1
        self.send(struct.pack("!ii", self.xid, kind) + body)
        while True:
            packet = self.receive()
            xid, _, error = struct.unpack("!iqi", packet[:16])
            if xid == self.xid:
                break
        if error:
            raise Refused(error)
        return packet[16:]

    def ping(self):
        self.send(struct.pack("!ii", -2, PING))

    def get(self, path):
        """The value and its version; none and -1 if there is nothing."""
        if SYNC:
            self.call(SYNC_OP, text("/"))
        try:
            body = self.call(GET, text(path) + b"\0")
        except Refused as e:
            if e.args[0] == NO_NODE:
                return None, -1
            raise
        length = struct.unpack("!i", body[:4])[0]
        # After the data comes the stat: four longs, then the version.
        return int(body[4:4 + length]), struct.unpack("!i", body[36 + length:40 + length])[0]

    def set(self, path, value, version):
        self.call(SET, text(path) + text(str(value)) + struct.pack("!i", version))

    def create(self, path, value):
        world = struct.pack("!ii", 1, 31) + text("world") + text("anyone")
        self.call(CREATE, text(path) + text(str(value)) + world + struct.pack("!i", 0))

def write(s, path, value):
    try:
        return s.set(path, value, -1)
    except Refused as e:
        if e.args[0] != NO_NODE:
            raise
    try:
        s.create(path, value)
    except Refused as e:
        if e.args[0] != NODE_EXISTS:
            raise
        s.set(path, value, -1)

def cas(s, path, old, new):
    held, version = s.get(path)
    if held != old:
        # Without a sync this may be old news, and no observation.
        return {"type": "ok", "value": "mismatch"} if SYNC else {"type": "fail", "error": "mismatch"}
    s.create(path, new) if old is None else s.set(path, new, version)
    return {"type": "ok"}

def invoke(s, ask):
    path, value = "/r%s" % ask["key"], ask["value"]
    try:
        if ask["f"] == "read":
            return {"type": "ok", "value": s.get(path)[0]}
        if ask["f"] == "cas":
            return cas(s, path, *value)
        write(s, path, value)
        return {"type": "ok"}
    except Refused as e:
        certain = e.args[0] in (NO_NODE, BAD_VERSION, NODE_EXISTS)
        return {"type": "fail" if certain else "info", "error": "ZooKeeper error %d" % e.args[0]}

def process(asked):
    session = None
    while True:
        try:
            ask = asked.get(timeout=TIMEOUT_MS / 4000)
        except queue.Empty:
            try:
                session and session.ping()
            except OSError:
                pass  # the next operation will see it
            continue
        if ask["type"] == "close":
            return
        try:
            answer = {"type": "ok"}
            if ask["type"] == "open":
                session = Session(ask)
            elif ask["type"] == "invoke":
                answer = invoke(session, ask)
        except OSError as e:
            answer = {"type": "info", "error": str(e)}
        say({**answer, "process": ask["process"], "id": ask["id"]})

processes = {}
for line in sys.stdin:
    ask = json.loads(line)
    if ask["type"] == "hello":
        say({"type": "hello", "protocol": 1, "client": "zookeeper.py", "supports": ["read", "write", "cas"]})
        continue
    if ask["type"] == "open":
        processes[ask["process"]] = queue.Queue()
        threading.Thread(target=process, args=(processes[ask["process"]],), daemon=True).start()
    processes[ask["process"]].put(ask)
