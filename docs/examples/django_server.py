"""A project of Django in one file, with the channels at /voice; under WSGI those that need no WebSocket.

pip install "flowstorm-channel[django,server]"
uvicorn django_server:application --ws websockets-sansio
gunicorn --threads 50 django_server:wsgi
"""

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import include, path

from flowstorm_channel.contrib.django import ChannelApp, ChannelViews, mount

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="not a secret: this is an example",
)
django.setup()


async def dialogue(turn):
    # The database, if you have one: await Order.objects.acreate(text=turn.text)
    yield "Hello!" if turn.text == "#intro" else f"You said {turn.text}."


def index(request):
    return HttpResponse("Talk to me at /voice/socket, or at /voice/client.")


urlpatterns = [path("", index), path("voice/", include(ChannelViews(dialogue).urls))]

application = mount(get_asgi_application(), ChannelApp(dialogue), "/voice")
wsgi = get_wsgi_application()
