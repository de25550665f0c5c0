"""A headless Chromium, driven through a pipe by the DevTools protocol: it does what a person does
with the page, and says what is there to see."""

import base64
import fcntl
import json
import os
import shutil
import subprocess
import tempfile

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = ("--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run "
         "--remote-debugging-pipe --hide-scrollbars").split()


def answers_in_page(rows, model, template):
    """Write JavaScript for the page's greedy answers to the first question of every row. Its value
    is [[text, stopped by itself], ...]."""
    turns = json.dumps([row.turns[0]._asdict() for row in rows])
    name = model.partition("_")[0]
    return f"""await Promise.all({turns}.map(async (turn) => {{
        const prompt = promptParts(turn, {json.dumps(template)}).flatMap(([ids]) => ids);
        const {{ ids }} = await generate(models.{name}, prompt), eos = tokenizer.eosId;
        return [tokenizer.decode(ids.filter((id) => id !== eos)), ids.at(-1) === eos];
    }}))"""


class Browser:
    """requests: the addresses that a page asked for. blocked: why some of them got no answer.
    complaints: the page's errors, and what it wrote to the console."""

    def __init__(self):
        # Four ends of two pipes, none of them 3 or 4: those are the browser's.
        ends = (*os.pipe(), *os.pipe())
        pipes = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
        their_input, self.sending, self.reading, their_output = pipes

        def connect():
            os.dup2(their_input, 3)
            os.dup2(their_output, 4)

        self.profile = tempfile.mkdtemp()
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={self.profile}"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, pass_fds=(3, 4), preexec_fn=connect, **quiet)
        os.close(their_input)
        os.close(their_output)

        # One empty page, and its events.
        self.number, self.buffer, self.session = 0, b"", None
        self.forget()
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def forget(self):
        """Forget the events of the last page."""
        self.requests, self.blocked, self.complaints, self.loaded = [], set(), [], False

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.sending)
        os.close(self.reading)
        shutil.rmtree(self.profile, ignore_errors=True)

    def receive(self):
        """Return the next message. Note what the page asks for and complains of."""
        while b"\0" not in self.buffer:
            piece = os.read(self.reading, 2**16)
            assert piece, "the browser is gone"
            self.buffer += piece
        text, _, self.buffer = self.buffer.partition(b"\0")
        message = json.loads(text)
        method, params = message.get("method"), message.get("params")
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        if method == "Network.loadingFailed":
            self.blocked.add(params.get("blockedReason"))
        if method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.complaints.append(params)
        self.loaded |= method == "Page.loadEventFired"
        return message

    def call(self, method, **params):
        """Call a method of the protocol and return its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.sending, json.dumps(message).encode() + b"\0")
        while (answer := self.receive()).get("id") != self.number:
            pass
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def open(self, address, width=1440, height=900, dark=False, script=True, scale=1):
        """Open a file or an address in a window of this size, and wait until it is loaded."""
        address = address if "://" in str(address) else f"file://{address}"
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[theme])
        self.call("Emulation.setScriptExecutionDisabled", value=not script)

        # Go away first: an address that differs only behind its # would not be loaded again.
        for url in ("about:blank", address):
            self.forget()
            self.call("Page.navigate", url=url)
            while not self.loaded:
                self.receive()

    def run(self, script):
        """Return the value of a JavaScript expression; of a promise, what it resolves to."""
        options = {"awaitPromise": True, "returnByValue": True}
        answer = self.call("Runtime.evaluate", expression=script, **options)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition, milliseconds=60_000):
        """Wait until a JavaScript expression is true."""
        self.run(f"""new Promise((resolve, reject) => {{
            const end = Date.now() + {milliseconds};
            const look = () => {{
                if ({condition}) resolve();
                else if (Date.now() > end) reject({json.dumps(condition)});
                else setTimeout(look, 10);
            }};
            look(); }})""")

    def click(self, selector):
        """Click with the mouse, in the middle of an element."""
        box = self.run(f"""(() => {{
            const node = document.querySelector({json.dumps(selector)});
            node.scrollIntoView({{block: "center"}});
            return node.getBoundingClientRect().toJSON(); }})()""")
        point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **point)

    def key(self, key, text="", code=0):
        """Press a key and let it go."""
        code = code or (ord(text) if len(text) == 1 else 0)
        options = {"key": key, "windowsVirtualKeyCode": code}
        pressed = options | ({"text": text} if text else {})
        self.call("Input.dispatchKeyEvent", type="keyDown", **pressed)
        self.call("Input.dispatchKeyEvent", type="keyUp", **options)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def picture(self, path, clip=None):
        """Save the whole page as PNG, or a part of it: x, y, width, height."""
        options = {}
        if clip:
            box = dict(zip(("x", "y", "width", "height"), clip))
            options["clip"] = {**box, "scale": 1}
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                         **options)
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))
