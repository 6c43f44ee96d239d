"""Open a page in a real WebKitGTK, and write what it reports, one JSON object a line.

    python3 browser.py FOLDER SCHEME SECONDS < config.json

The page is FOLDER/index.html, at SCHEME://localhost, as an application on Tauri has it at
tauri://localhost. It finds the configuration as `globalThis.CONFIG`. This runs with the Python of
the system, because GObject introspection is a system package.
"""

import mimetypes
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gi  # type: ignore[import-not-found]

gi.require_version("Gtk", "3.0")
gi.require_version("WebKit2", "4.1")
from gi.repository import (  # type: ignore[import-not-found]  # noqa: E402 – versions first
    Gio,
    GLib,
    Gtk,
    WebKit2,
)

TYPES = {".html": "text/html", ".js": "text/javascript"}


def main() -> int:
    folder, scheme, seconds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    config = sys.stdin.read()
    context = WebKit2.WebContext.new_ephemeral()
    context.register_uri_scheme(scheme, lambda request: _serve(request, folder))
    # As Tauri does: without it, the page would be no secure context.
    context.get_security_manager().register_uri_scheme_as_secure(scheme)
    content = WebKit2.UserContentManager()
    content.add_script(_make_script(f"globalThis.CONFIG = {config};"))
    content.register_script_message_handler("report")
    content.connect("script-message-received::report", _write_report)
    view = WebKit2.WebView(web_context=context, user_content_manager=content)
    view.get_settings().set_enable_write_console_messages_to_stdout(True)
    view.connect("load-failed", _fail)
    view.connect("web-process-terminated", _fail)
    window = Gtk.Window()
    window.add(view)
    window.show_all()
    view.load_uri(f"{scheme}://localhost/index.html")
    GLib.timeout_add_seconds(seconds, _fail)
    Gtk.main()
    return 0


def _make_script(source: str) -> Any:
    return WebKit2.UserScript(
        source,
        WebKit2.UserContentInjectedFrames.TOP_FRAME,
        WebKit2.UserScriptInjectionTime.START,
        None,
        None,
    )


def _serve(request: Any, folder: Path) -> None:
    name = urlsplit(request.get_uri()).path.rpartition("/")[2]
    path = folder / name
    if not path.is_file():
        request.finish_error(GLib.Error(f"{name} does not exist"))
        return
    data = path.read_bytes()
    stream = Gio.MemoryInputStream.new_from_bytes(GLib.Bytes.new(data))
    kind = TYPES.get(path.suffix) or mimetypes.guess_type(name)[0] or "text/plain"
    request.finish(stream, len(data), kind)


def _write_report(_manager: Any, result: Any) -> None:
    text = result.get_js_value().to_string()
    if text == '{"end":true}':
        Gtk.main_quit()
    else:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def _fail(*details: Any) -> None:
    sys.stderr.write(f"The page ended early: {details}\n")
    Gtk.main_quit()


if __name__ == "__main__":
    sys.exit(main())
