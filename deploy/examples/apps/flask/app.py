"""A guest book on Flask: what visitors write stands on the page as long as the process lives."""

from flask import Flask, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

app = Flask(__name__)
lines: list[str] = []


@app.get("/")
def read() -> str:
    return render_template("guestbook.html", lines=lines)


@app.post("/")
def write() -> Response:
    line = request.form.get("line", "").strip()
    if line:
        lines.append(line[:200])
    return redirect(url_for("read"), code=303)
