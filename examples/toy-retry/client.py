"""A client with a classic mistake: what got no answer is asked again, though adding twice is not adding once."""
import itertools, json, socket, sys

LIMIT = 0.8  # seconds for an answer; tried twice, that is less than the run's op_timeout
options, place, source, conn = {}, None, None, None
numbers = itertools.count(1)

def connect():
    kind = socket.SOCK_DGRAM if options["transport"] == "udp" else socket.SOCK_STREAM
    made = socket.socket(socket.AF_INET, kind)
    made.settimeout(4)  # a connection may take its time
    made.bind((source, 0))
    made.connect(place)
    made.settimeout(LIMIT)
    return made

def once(line):
    number = b"%d" % next(numbers)
    conn.sendall(number + b" " + line)
    got = b""
    while True:
        part = conn.recv(65536)
        if not part:
            raise OSError("the connection was closed")
        got += part
        while b"\n" in got:
            answer, got = got.split(b"\n", 1)
            first, *rest = answer.split()
            if first == number:  # the answer to something else came late, or twice
                return rest

def ask(line):
    global conn
    try:
        return once(line)
    except OSError:
        if options["retry"] != "yes":
            raise
        # The mistake. The first request may have been done; only its answer was lost.
        conn.close()
        conn = connect()
        return once(line)

for line in sys.stdin:
    asked = json.loads(line)
    answer = {"type": "ok"}
    if asked["type"] == "close":
        break
    try:
        if asked["type"] == "hello":
            options = asked["options"]
            answer = {"type": "hello", "protocol": 1, "client": "toy", "supports": ["set.add", "set.read"]}
        elif asked["type"] == "open":
            place, source = (asked["host"], asked["port"]), asked.get("bind", "")
            conn = connect()
        elif asked["type"] == "invoke" and asked["f"] == "add":
            ask(b"add %s %d\n" % (str(asked["key"]).encode(), asked["value"]))
        elif asked["type"] == "invoke":
            found = ask(b"read %s\n" % str(asked["key"]).encode())
            answer["value"] = [int(element) for element in found]
    except OSError as e:
        answer = {"type": "fail" if asked["type"] == "open" else "info", "error": str(e)}
    about = {key: asked[key] for key in ("process", "id") if key in asked}
    print(json.dumps({**answer, **about}), flush=True)
