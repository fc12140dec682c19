"""A real HTTP server on the loopback that speaks as an OpenAI-compatible endpoint does, well or badly."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def completion(content, finish_reason="stop", refusal=None, tokens=(120, 30)):
    return {
        "id": "x", "object": "chat.completion", "created": 0, "model": "judge",
        "choices": [{
            "index": 0, "finish_reason": finish_reason,
            "message": {"role": "assistant", "content": content, "refusal": refusal},
        }],
        "usage": {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)},
    }  # fmt: skip


def alignment(value, reason="as asked"):
    elements = [{"asked": "two red dogs", "shown": value > 5}]
    return json.dumps({"elements": elements, "reason": reason, "alignment": value})


class Endpoint:
    """`replies`: what the next requests get, the last one for ever. A reply is a completion's content or a function.

    Functions: (handler) -> None writes what it likes. `requests`: bodies and headers received.
    """

    def __init__(self):
        self.replies, self.requests = [alignment(7)], []
        self.over = threading.Event()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                endpoint.requests.append(
                    (json.loads(body), {name.lower(): value for name, value in self.headers.items()})
                )
                reply = endpoint.replies.pop(0) if len(endpoint.replies) > 1 else endpoint.replies[0]
                if callable(reply):
                    reply(self)
                else:
                    self.say(200, completion(reply) if isinstance(reply, str) else reply)

            def say(self, status, record, headers=()):
                data = record if isinstance(record, bytes) else json.dumps(record).encode()
                self.send_response(status)
                headers = {"Content-Type": "application/json", "Content-Length": str(len(data)), **dict(headers)}
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.endpoint = self
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()


def failing(status, message="no"):
    """An error without a pause before the next try."""
    return lambda handler: handler.say(status, {"error": {"message": message}}, [("retry-after-ms", "1")])


def slow(endpoint, seconds=30):
    return lambda handler: endpoint.over.wait(seconds)


def dropping(handler):
    """Half an answer, then nothing."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"id": ')
    handler.wfile.flush()
    time.sleep(0.01)
    handler.close_connection = True
    handler.connection.close()
