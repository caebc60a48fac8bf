"""A client of NATS JetStream on nothing but the standard library: a set is the messages of a subject.

An `add` is a message published with a request for its acknowledgement; a `read` replays the subject. Error table:
no responders (503) is `fail`, for nobody took the message; an error in an acknowledgement is `info`.
"""
import json, queue, socket, sys, threading, uuid
out = threading.Lock()

def say(answer):
    with out:
        print(json.dumps(answer), flush=True)

class NoResponders(Exception):
    """Nobody was there to take the message."""

class Connection:
    def __init__(self, ask):
        sock = socket.create_connection((ask["host"], ask["port"]), 2, (ask.get("bind", ""), 0))
        self.file, self.inbox, self.count = sock.makefile("rwb"), "_INBOX." + uuid.uuid4().hex, 0
        self.line()
        self.send('CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}')
        self.send("SUB %s.* 1" % self.inbox)
        # Idempotent: every application that uses the stream says that it wants it.
        self.api("STREAM.CREATE.s", name="s", subjects=["s.*"], num_replicas=3, storage="file")

    def send(self, line, payload=None):
        data = line.encode() + b"\r\n" + (b"" if payload is None else payload + b"\r\n")
        self.file.write(data)
        self.file.flush()

    def line(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise OSError("the connection was closed")
        return line[:-2].decode()

    def message(self):
        """The next message: its subject and its payload."""
        while True:
            words = self.line().split(" ")
            if words[0] == "PING":
                self.send("PONG")
            elif words[0] == "-ERR":
                raise OSError(" ".join(words))
            elif words[0] in ("MSG", "HMSG"):
                body = self.file.read(int(words[-1]) + 2)[:-2]
                if words[0] == "HMSG":
                    if body.startswith(b"NATS/1.0 503"):
                        raise NoResponders("no responders")
                    body = body[int(words[-2]):]
                return words[1], body

    def request(self, subject, payload):
        self.count += 1
        reply = "%s.%d" % (self.inbox, self.count)
        self.send("PUB %s %s %d" % (subject, reply, len(payload)), payload)
        while True:
            came, body = self.message()
            if came == reply:
                return json.loads(body)

    def api(self, call, **config):
        answer = self.request("$JS.API." + call, json.dumps(config).encode())
        if "error" in answer:
            raise OSError("%s: %s" % (call, answer["error"].get("description")))
        return answer

    def read(self, subject):
        self.count += 1
        deliver = "%s.%d" % (self.inbox, self.count)
        config = {"deliver_subject": deliver, "deliver_policy": "all", "ack_policy": "none", "filter_subject": subject,
                  "inactive_threshold": 1000000000, "mem_storage": True, "num_replicas": 1}
        early = []
        made = self.create("s", config, deliver, early)
        while len(early) < made["num_pending"]:
            came, body = self.message()
            if came == deliver:
                early.append(int(body))
        self.request("$JS.API.CONSUMER.DELETE.s." + made["name"], b"")
        return sorted(early)

    def create(self, stream, config, deliver, early):
        self.count += 1
        reply = "%s.%d" % (self.inbox, self.count)
        payload = json.dumps({"stream_name": stream, "config": config}).encode()
        self.send("PUB $JS.API.CONSUMER.CREATE.%s %s %d" % (stream, reply, len(payload)), payload)
        while True:
            came, body = self.message()
            if came == deliver:
                early.append(int(body))
            elif came == reply:
                answer = json.loads(body)
                if "error" in answer:
                    raise OSError(answer["error"].get("description"))
                # Messages that came first are no longer counted as pending.
                answer["num_pending"] += answer.get("delivered", {}).get("consumer_seq", 0)
                return answer

def invoke(conn, ask):
    subject = "s.%s" % ask["key"]
    if ask["f"] == "read":
        return {"type": "ok", "value": conn.read(subject)}
    answer = conn.request(subject, str(ask["value"]).encode())
    if "error" in answer:
        return {"type": "info", "error": answer["error"].get("description")}
    return {"type": "ok", "meta": {"revision": answer["seq"]}}

def process(asked):
    conn = None
    while (ask := asked.get())["type"] != "close":
        try:
            answer = {"type": "ok"}
            if ask["type"] == "open":
                conn = Connection(ask)
            elif ask["type"] == "invoke":
                answer = invoke(conn, ask)
        except NoResponders as e:
            answer = {"type": "fail", "error": str(e), "closed": True}
        except OSError as e:
            answer = {"type": "info", "error": str(e)}
        say({**answer, "process": ask["process"], "id": ask["id"]})

processes = {}
for line in sys.stdin:
    ask = json.loads(line)
    if ask["type"] == "hello":
        say({"type": "hello", "protocol": 1, "client": "nats.py", "supports": ["set.add", "set.read"]})
        continue
    if ask["type"] == "open":
        processes[ask["process"]] = queue.Queue()
        threading.Thread(target=process, args=(processes[ask["process"]],), daemon=True).start()
    processes[ask["process"]].put(ask)
