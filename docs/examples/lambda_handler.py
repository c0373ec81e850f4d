"""Answers an Alexa skill from AWS Lambda. The function's handler is lambda_handler.handler.

pip install "flowstorm-channel[verify]"
python lambda_handler.py < request.json      # what Lambda does, to try out
"""

import json
import sys

from flowstorm_channel.contrib.aws_lambda import AlexaHandler


async def dialogue(turn):
    yield "Hello!" if turn.text == "#intro" else f"You said {turn.text}."


handler = AlexaHandler(dialogue, skill_ids=["amzn1.ask.skill.00000000-0000-0000-0000-000000000000"])

if __name__ == "__main__":
    print(json.dumps(handler(json.load(sys.stdin))))
