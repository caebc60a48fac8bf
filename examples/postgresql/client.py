"""A client of PostgreSQL on nothing but the standard library: lists, kept as text, read and then overwritten.

Error table (PostgreSQL's manual, appendix A and chapter 13): whatever goes wrong before COMMIT was sent is `fail`,
for nothing commits without it. After it, 40001, 40P01 and 25006 are `fail`, for the server says that it rolled
back; anything else is `info`.
"""
import json, os, queue, socket, struct, sys, threading

ISOLATION = os.environ.get("ISOLATION", "serializable")
ROLLED_BACK = {"40001", "40P01", "25006"}
out = threading.Lock()

def say(answer):
    with out:
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()

class Refused(Exception):
    """The server said no; `code` is its SQLSTATE."""
    def __init__(self, code, text):
        super().__init__("%s: %s" % (code, text))
        self.code = code

class Connection:
    """Version 3.0 of the protocol, simple queries, trust authentication."""
    def __init__(self, ask):
        sock = socket.create_connection((ask["host"], ask["port"]), 2, (ask.get("bind", ""), 0))
        self.file = sock.makefile("rwb")
        body = struct.pack("!I", 196608) + b"user\0postgres\0database\0postgres\0\0"
        self.file.write(struct.pack("!I", len(body) + 4) + body)
        self.standby = None
        self.rows()
        self.standby = self.query("SELECT pg_is_in_recovery()") == [["t"]]

    def query(self, sql):
        body = sql.encode() + b"\0"
        self.file.write(b"Q" + struct.pack("!I", len(body) + 4) + body)
        return self.rows()

    def rows(self):
        self.file.flush()
        rows, error = [], None
        while True:
            head = self.file.read(5)
            if len(head) < 5:
                raise OSError("the connection was closed")
            body = self.file.read(struct.unpack("!I", head[1:])[0] - 4)
            if head[:1] == b"D":
                rows.append(fields(body))
            elif head[:1] == b"E":
                parts = {p[:1]: p[1:].decode() for p in body.split(b"\0") if p}
                error = Refused(parts.get(b"C", "?"), parts.get(b"M", "?"))
            elif head[:1] == b"Z":
                if error:
                    raise error
                return rows

def fields(body):
    at, row = 2, []
    for _ in range(struct.unpack("!H", body[:2])[0]):
        length = struct.unpack("!i", body[at:at + 4])[0]
        at += 4
        row.append(None if length < 0 else body[at:at + length].decode())
        at += max(length, 0)
    return row

def transaction(conn, steps):
    level = "REPEATABLE READ, READ ONLY" if conn.standby else ISOLATION
    conn.query("BEGIN ISOLATION LEVEL " + level)
    done = []
    for f, key, value in steps:
        rows = conn.query("SELECT v FROM lists WHERE k = '%s'" % key)
        held = [int(v) for v in rows[0][0].split(",")] if rows else None
        if f == "append":
            text = ",".join(map(str, (held or []) + [value]))
            conn.query("INSERT INTO lists VALUES ('%s', '%s') ON CONFLICT (k) DO UPDATE SET v = excluded.v" % (key, text))
        done.append([f, key, value if f == "append" else held])
    return done

def invoke(conn, ask):
    try:
        done = transaction(conn, ask["value"])
    except (Refused, OSError) as e:
        broken = not isinstance(e, Refused)
        if not broken:
            conn.query("ROLLBACK")
        return {"type": "fail", "error": str(e), "closed": broken}
    try:
        conn.query("COMMIT")
    except Refused as e:
        return {"type": "fail" if e.code in ROLLED_BACK else "info", "error": str(e)}
    return {"type": "ok", "value": done}

def process(asked):
    conn = None
    while (ask := asked.get())["type"] != "close":
        try:
            answer = {"type": "ok"}
            if ask["type"] == "open":
                conn = Connection(ask)
            elif ask["type"] == "setup":
                conn.query("CREATE TABLE lists (k text PRIMARY KEY, v text NOT NULL)")
            else:
                answer = invoke(conn, ask)
        except (OSError, Refused) as e:
            answer = {"type": "info", "error": str(e)}
        say({**answer, "process": ask["process"], "id": ask["id"]})

processes = {}
for line in sys.stdin:
    ask = json.loads(line)
    if ask["type"] == "hello":
        say({"type": "hello", "protocol": 1, "client": "postgresql.py", "supports": ["append.txn"]})
        continue
    if ask["type"] == "open":
        processes[ask["process"]] = queue.Queue()
        threading.Thread(target=process, args=(processes[ask["process"]],), daemon=True).start()
    processes[ask["process"]].put(ask)
