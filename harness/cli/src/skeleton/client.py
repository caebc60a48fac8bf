"""A client of NAME: JSON lines in, JSON lines out. Try it: squall check-client -- python3 NAME/client.py

Rules: never try again; `fail` only when it certainly did not happen, else `info`; a thread a process, so that
none waits for another; nothing but answers on standard output.
"""
import json, queue, socket, sys, threading

SUPPORTS = ["read", "write", "cas"]
out = threading.Lock()

def say(answer):
    with out:
        print(json.dumps(answer), flush=True)

def request(conn, line):
    conn.write(line + "\n")
    conn.flush()
    answer = conn.readline()
    if not answer.endswith("\n"):
        raise OSError("the connection was closed")
    return answer.strip()

def invoke(conn, ask):
    key, value = "r%s" % ask["key"], ask["value"]
    text = lambda v: "none" if v is None else str(v)
    if ask["f"] == "read":
        answer = request(conn, "get " + key)
        return {"type": "ok", "value": None if answer == "none" else int(answer)}
    if ask["f"] == "cas":
        answer = request(conn, "cas %s %s %s" % (key, text(value[0]), text(value[1])))
        return {"type": "ok", "value": "mismatch"} if answer == "mismatch" else {"type": "ok"}
    request(conn, "set %s %s" % (key, value))
    return {"type": "ok"}

def process(asked):
    conn = None
    while (ask := asked.get())["type"] != "close":
        try:
            if ask["type"] == "open":
                sock = socket.create_connection((ask["host"], ask["port"]), 2, (ask.get("bind", ""), 0))
                conn, answer = sock.makefile("rw"), {"type": "ok"}
            else:
                answer = invoke(conn, ask) if ask["type"] == "invoke" else {"type": "ok"}
        except OSError as e:
            answer = {"type": "info", "error": str(e)}
        say({**answer, "process": ask["process"], "id": ask["id"]})

processes = {}
for line in sys.stdin:
    ask = json.loads(line)
    if ask["type"] == "hello":
        say({"type": "hello", "protocol": 1, "client": "NAME", "supports": SUPPORTS})
        continue
    if ask["type"] == "open":
        processes[ask["process"]] = queue.Queue()
        threading.Thread(target=process, args=(processes[ask["process"]],), daemon=True).start()
    processes[ask["process"]].put(ask)
