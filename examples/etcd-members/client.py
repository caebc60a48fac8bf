"""A client of etcd's JSON gateway; one program a process, one connection each, nothing is tried again."""
import base64, http.client, json, sys

SUPPORTS = ["read", "write", "cas"]
coded = lambda text: base64.b64encode(str(text).encode()).decode()
connection = None

def post(path, body):
    connection.request("POST", "/v3/kv/" + path, json.dumps(body))
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200:
        raise OSError("HTTP %d: %s" % (answer.status, text[:200]))
    return json.loads(text)

def invoke(ask):
    key, value = coded("r%s" % ask["key"]), ask["value"]
    if ask["f"] == "read":
        found = post("range", {"key": key}).get("kvs")
        return {"type": "ok", "value": int(base64.b64decode(found[0]["value"])) if found else None}
    if ask["f"] == "write":
        post("put", {"key": key, "value": coded(value)})
        return {"type": "ok"}
    old, new = value
    nothing = {"key": key, "target": "CREATE", "create_revision": "0"}
    compare = nothing if old is None else {"key": key, "target": "VALUE", "value": coded(old)}
    put = {"request_put": {"key": key, "value": coded(new)}}
    done = post("txn", {"compare": [compare], "success": [put]}).get("succeeded")
    return {"type": "ok"} if done else {"type": "ok", "value": "mismatch"}

for line in sys.stdin:
    ask = json.loads(line)
    try:
        if ask["type"] == "hello":
            print(json.dumps({"type": "hello", "protocol": 1, "supports": SUPPORTS}), flush=True)
            continue
        if ask["type"] == "close":
            connection.close()
            continue
        if ask["type"] == "open":
            bind = (ask["bind"], 0) if "bind" in ask else None
            connection = http.client.HTTPConnection(ask["host"], ask["port"], 5, bind)
            connection.connect()
            connection.auto_open = 0  # a connection that broke stays broken
        answer = invoke(ask) if ask["type"] == "invoke" else {"type": "ok"}
    except (OSError, http.client.HTTPException) as e:
        answer = {"type": "info", "error": repr(e)}
    print(json.dumps({**answer, "process": ask["process"], "id": ask["id"]}), flush=True)
