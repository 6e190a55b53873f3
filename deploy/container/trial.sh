# What verify.py runs in a container of the image: SERVE is its command, HEALTH its health check.
set -eu

if $SERVE >/tmp/refused 2>&1; then
	echo "it serves without saying to whom"
	exit 1
fi
grep -q allow_anonymous /tmp/refused
export RERANK_GATEWAY__SERVER__ALLOW_ANONYMOUS=true

$SERVE >/tmp/log 2>&1 &
server=$!
tries=0
until $HEALTH >/tmp/health 2>&1; do
	tries=$((tries + 1))
	if [ $tries -gt 60 ] || ! kill -0 $server; then
		cat /tmp/log /tmp/health
		exit 1
	fi
	sleep 1
done
echo "healthy: $(cat /tmp/health)"

printf '%s\n' "Soup is served on Mondays." "To restore a backup, stop the database." >/tmp/notes.txt
rerank-gateway rerank --address 127.0.0.1:50051 --query "how do I restore a backup?" /tmp/notes.txt

cat >/tmp/notes.jsonl <<'NOTES'
{"id": "soup", "text": "Soup is served on Mondays."}
{"id": "restore", "text": "To restore a backup, stop the database."}
NOTES
rerank-gateway import --address 127.0.0.1:50051 --collection notes /tmp/notes.jsonl
rerank-gateway search --address 127.0.0.1:50051 --collection notes "how do I restore a backup?"

for engine in lance qdrant weaviate; do
	python -c "import gateway.retrieval.$engine.engine"
done
echo "all engines are there"

python - <<'METRICS'
from urllib.request import urlopen

shown = urlopen("http://127.0.0.1:9464/metrics").read()
assert b"\nrerank_gateway_server_inflight " in shown, shown
METRICS
echo "metrics are shown"

if touch /opt/rerank-gateway/new 2>/dev/null; then
	echo "it may write to its own code"
	exit 1
fi

kill -TERM $server
wait $server
tail -1 /tmp/log
