"""A client of Redis, on nothing but the standard library: sets by SADD and SMEMBERS."""
import json, queue, socket, sys, threading
out = threading.Lock()

def say(answer):
    with out:
        print(json.dumps(answer), flush=True)

class Refused(Exception):
    """Redis said no: nothing happened."""

def command(conn, *words):
    parts = [str(w).encode() for w in words]
    conn.write(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
    conn.flush()
    return reply(conn)

def reply(conn):
    line = conn.readline()
    if not line.endswith(b"\r\n"):
        raise OSError("the connection was closed")
    kind, rest = line[:1], line[1:-2]
    if kind == b"-":
        raise Refused(rest.decode())
    if kind == b"$":
        return conn.read(int(rest) + 2)[:-2]
    return [reply(conn) for _ in range(int(rest))] if kind == b"*" else rest

def invoke(conn, ask):
    key = "s%s" % ask["key"]
    if ask["f"] == "add":
        command(conn, "SADD", key, ask["value"])
        return {"type": "ok"}
    return {"type": "ok", "value": sorted(int(m) for m in command(conn, "SMEMBERS", key))}

def process(asked):
    conn = None
    while (ask := asked.get())["type"] != "close":
        try:
            if ask["type"] == "open":
                sock = socket.create_connection((ask["host"], ask["port"]), 2, (ask.get("bind", ""), 0))
                conn, answer = sock.makefile("rwb"), {"type": "ok"}
            else:
                answer = invoke(conn, ask) if ask["type"] == "invoke" else {"type": "ok"}
        except Refused as e:  # READONLY, LOADING, MASTERDOWN, NOREPLICAS: refused before it was done
            answer = {"type": "fail", "error": str(e)}
        except OSError as e:  # a time-out or a broken connection: it may have been done
            answer = {"type": "info", "error": str(e)}
        say({**answer, "process": ask["process"], "id": ask["id"]})

processes = {}
for line in sys.stdin:
    ask = json.loads(line)
    if ask["type"] == "hello":
        say({"type": "hello", "protocol": 1, "client": "redis.py", "supports": ["set.add", "set.read"]})
        continue
    if ask["type"] == "open":
        processes[ask["process"]] = queue.Queue()
        threading.Thread(target=process, args=(processes[ask["process"]],), daemon=True).start()
    processes[ask["process"]].put(ask)
