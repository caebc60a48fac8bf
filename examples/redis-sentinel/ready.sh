# Whether a node is the master that the Sentinels name, or follows it.
set -eu
master=$(redis-cli -h "$1" -p 26379 sentinel get-master-addr-by-name main | head -n 1)
[ "$(redis-cli -h "$1" -p 26379 sentinel masters | grep -A1 -x num-other-sentinels | tail -n 1)" -ge 2 ]
role=$(redis-cli -h "$1" info replication)
if [ "$master" = "$1" ]; then
  echo "$role" | grep -q role:master
  # Every replica follows it.
  echo "$role" | grep -q connected_slaves:2
else
  echo "$role" | grep -q "master_host:$master"
  echo "$role" | grep -q master_link_status:up
fi
