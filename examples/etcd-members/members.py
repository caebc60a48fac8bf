"""Changes of members: members.py ADDRESS list | add PEER-URL | remove PEER-URL. Each does nothing where it is so already."""
import json, sys, urllib.request

address, what, url = sys.argv[1], sys.argv[2], sys.argv[3:]

def ask(path, body):
    to = "http://%s:2379/v3/cluster/member/%s" % (address, path)
    with urllib.request.urlopen(to, json.dumps(body).encode(), 2) as answer:
        return json.load(answer)

members = ask("list", {})["members"]
found = [m["ID"] for m in members if m.get("peerURLs") == url]
if what == "list":
    print(*[m["name"] for m in members if m.get("name")])  # one that was added and never started has no name
elif what == "add" and not found:
    ask("add", {"peerURLs": url})
elif what == "remove" and found:
    ask("remove", {"ID": found[0]})
