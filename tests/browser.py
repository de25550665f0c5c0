"""A headless Chromium, driven over a pipe by the DevTools protocol: what a person does with the page, and what is seen."""

import base64
import fcntl
import json
import os
import shutil
import subprocess
import tempfile

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --remote-debugging-pipe --no-first-run".split()


def answers_in_page(rows, model, template):
    """JavaScript: the page's greedy answers to the first question of every row, [[text, stopped by itself], ...]"""
    turns, name = json.dumps([row.turns[0]._asdict() for row in rows]), model.partition("_")[0]
    return f"""await Promise.all({turns}.map(async (turn) => {{
        const prompt = promptParts(turn, {json.dumps(template)}).flatMap(([ids]) => ids);
        const ids = await generate(models.{name}, prompt), eos = tokenizer.eosId;
        return [tokenizer.decode(ids.filter((id) => id !== eos)), ids.at(-1) === eos];
    }}))"""


class Browser:
    """`requests` are the addresses that a page asked for, `blocked` why some of them got no answer, `complaints` its errors
    and what it wrote to the console."""

    def __init__(self):
        pipes = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (*os.pipe(), *os.pipe())]  # none is 3 or 4
        there, self.sending, self.reading, back = pipes
        self.profile = tempfile.mkdtemp()
        command = [CHROMIUM, *FLAGS, f"--user-data-dir={self.profile}"]
        as_3_and_4 = lambda: (os.dup2(there, 3), os.dup2(back, 4))  # noqa: E731, where Chromium reads and writes
        self.process = subprocess.Popen(command, pass_fds=(3, 4), preexec_fn=as_3_and_4, stdout=-3, stderr=-3)
        os.close(there), os.close(back)
        self.number, self.buffer, self.session = 0, b"", None
        self.requests, self.blocked, self.complaints, self.loaded = [], set(), [], False
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.sending), os.close(self.reading)
        shutil.rmtree(self.profile, ignore_errors=True)

    def receive(self):
        """The next message; what pages ask for and complain of is kept."""
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
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.sending, json.dumps(message).encode() + b"\0")
        while (answer := self.receive()).get("id") != self.number:
            pass
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def open(self, address, width=1440, height=900, dark=False, script=True):
        """Open a file or an address in a window of this size, and wait until it is loaded."""
        address = address if "://" in str(address) else f"file://{address}"
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[theme])
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        for url in ("about:blank", address):  # an address that differs in its # only would not be loaded again
            self.requests, self.blocked, self.complaints, self.loaded = [], set(), [], False
            self.call("Page.navigate", url=url)
            while not self.loaded:
                self.receive()

    def run(self, script):
        """The value of a JavaScript expression, awaited if it is a promise."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition, milliseconds=60_000):
        """Until a JavaScript expression is true."""
        script = f"""new Promise((found, lost) => {{ const end = Date.now() + {milliseconds};
            const look = () => ({condition}) ? found() : Date.now() > end ? lost({condition!r}) : setTimeout(look, 10); look(); }})"""
        self.run(script)

    def click(self, selector):
        """With the mouse, in the middle of an element."""
        box = f"(e => (e.scrollIntoView({{block: 'center'}}), e.getBoundingClientRect().toJSON()))(document.querySelector({selector!r}))"
        found = self.run(box)
        where = {"x": found["x"] + found["width"] / 2, "y": found["y"] + found["height"] / 2}
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **where)

    def key(self, key, text="", code=0):
        """A key pressed and let go."""
        more = {"text": text, "windowsVirtualKeyCode": code or (ord(text) if len(text) == 1 else 0)}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **more)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=more["windowsVirtualKeyCode"])

    def type(self, text):
        self.call("Input.insertText", text=text)

    def picture(self, path, clip=None):
        """The whole page as PNG, or a part of it: x, y, width, height."""
        options = {"clip": {**dict(zip(("x", "y", "width", "height"), clip)), "scale": 1}} if clip else {}
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, **options)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
