"""The channels that need no WebSocket at /voice in an application of Flask.

pip install "flowstorm-channel[flask]"
flask --app flask_server run                 # to try out
gunicorn --threads 50 flask_server:app
"""

from flask import Flask, current_app

from flowstorm_channel.contrib.flask import ChannelBlueprint


async def dialogue(turn):
    name = current_app.config["NAME"]
    yield f"Hello, I am {name}." if turn.text == "#intro" else f"{name} heard {turn.text}."


app = Flask(__name__)
app.config["NAME"] = "Flask"
app.register_blueprint(ChannelBlueprint(dialogue), url_prefix="/voice")


@app.get("/")
def index():
    return "Talk to me at /voice/client.\n"
