"""A line between a client and the API server that can be cut and mended."""

import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

import yaml

_CHUNK = 65536


class Line:
    """Forwards TCP connections from a port of its own; while it is cut, none lives."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._is_cut = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End all connections, and every new one at once."""
        self._is_cut.set()
        with self._lock:
            for end in self._open:
                _shut(end)

    def mend(self) -> None:
        """Let new connections through."""
        self._is_cut.clear()

    def close(self) -> None:
        """End everything."""
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._is_cut.is_set():
                near.close()
                continue
            try:
                far = socket.create_connection(self._target)
            except OSError:
                near.close()
                continue
            with self._lock:
                self._open |= {near, far}
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(_CHUNK):
                sink.sendall(data)
        except OSError:
            pass
        _shut(source)
        _shut(sink)
        with self._lock:
            self._open -= {source}
        source.close()


def _shut(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def line_to_api_server(kubeconfig: Path, copy: Path) -> Line:
    """A line to the API server of a kubeconfig, and a copy of that which goes through the line."""
    config = yaml.safe_load(kubeconfig.read_text())
    [cluster] = config["clusters"]
    server = urlsplit(cluster["cluster"]["server"])
    line = Line(str(server.hostname), int(server.port or 443))
    # The API server's certificate bears this name.
    cluster["cluster"]["server"] = f"https://localhost:{line.port}"
    copy.write_text(yaml.safe_dump(config))
    return line
