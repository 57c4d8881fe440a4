# endpoint.py DIMENSIONS: an embedding service in the form of OpenAI's, for bench/pipelines. Prints its port. The answers are
# made once, so that the figures are not its own: every text has the same vector. GET /count tells how many requests came.
import http.server, json, sys, threading

dimensions = int(sys.argv[1])
vector = "[" + ",".join("%.9f" % (0.01 + i / 100000) for i in range(dimensions)) + "]"
answers, lock, count = {}, threading.Lock(), 0


def answer(inputs):
    if inputs not in answers:
        items = ",".join('{"index":%d,"embedding":%s}' % (i, vector) for i in range(inputs))
        answers[inputs] = ('{"data":[%s],"usage":{"total_tokens":%d}}' % (items, inputs)).encode()
    return answers[inputs]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, body):
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.reply(str(count).encode())

    def do_POST(self):
        global count
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with lock:
            count += 1
        self.reply(answer(len(request["input"])))


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
