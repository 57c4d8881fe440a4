# A TCP link to a port of this machine with a delay in each direction, in microseconds: link.py PORT DELAY. Prints the
# port that it listens on.
import queue
import socket
import sys
import threading
import time

target, delay = int(sys.argv[1]), int(sys.argv[2]) / 1e6


def carry(source, sink):
    chunks = queue.Queue()

    def send():
        while True:
            due, data = chunks.get()
            time.sleep(max(0, due - time.monotonic()))
            try:
                if data:
                    sink.sendall(data)
                else:
                    sink.shutdown(socket.SHUT_WR)
            except OSError:
                return
            if not data:
                return

    threading.Thread(target=send, daemon=True).start()
    data = b"-"
    while data:
        try:
            data = source.recv(65536)
        except OSError:
            data = b""
        chunks.put((time.monotonic() + delay, data))


with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    while True:
        client, _ = server.accept()
        upstream = socket.create_connection(("127.0.0.1", target))
        for end in (client, upstream):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=carry, args=(client, upstream), daemon=True).start()
        threading.Thread(target=carry, args=(upstream, client), daemon=True).start()
