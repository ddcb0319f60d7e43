"`colorized app` in a process of its own, and a visitor without a browser"
import json, os, signal, subprocess, sys, time
from pathlib import Path
from urllib.request import Request, urlopen
from .loopback import free_port
from .usage import pss

ROOT = Path(__file__).resolve().parents[2]
PHOTO = ROOT/'nbs/images/riverfront-1931.jpg'

class Served:
    "The page at `url`, with the files of visitors below `folder`"
    def __init__(self, folder, *options):
        self.port,self.log = free_port(),open(folder/'server.log', 'w')
        self.url = f'http://127.0.0.1:{self.port}/'
        env = dict(os.environ, OMP_NUM_THREADS='1', PYTHONPATH=str(ROOT), TMPDIR=str(folder),
                   PYTHONUNBUFFERED='1')
        code = 'import sys; from colorized.cli.main import main; sys.exit(main())'
        command = [sys.executable, '-c', code, 'app', '--port', str(self.port), '--device', 'cpu',
                   '--threads', '1', *options]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT, env=env)
        while 'The page is at' not in (folder/'server.log').read_text():
            assert self.process.poll() is None, (folder/'server.log').read_text()
            time.sleep(0.2)
    def memory(self):
        "Of the process, MB"
        return pss(self.process.pid)
    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(120)
        self.log.close()

class Visitor:
    "What the page does for somebody, request by request"
    def __init__(self, url):
        self.url,self.requests = url,0
        self.name = json.loads(self.ask('visits', b''))['visitor']
    def ask(self, path, data=None, method=None):
        self.requests += 1
        with urlopen(Request(self.url+path, data, method=method), timeout=600) as r:
            return r.read()
    def upload(self, data, name='photo.jpg'):
        return json.loads(self.ask(f'photos/{self.name}?name={name}', data))['id']
    def question(self, name, **arguments):
        "The answer. Raises `RuntimeError` for an error in the stream, or a stream without an end"
        text = self.ask(f'questions/{name}', json.dumps(arguments).encode()).decode()
        events = [json.loads(o[6:]) for o in text.splitlines() if o.startswith('data: ')]
        if 'answer' not in events[-1]:
            raise RuntimeError(f'{name}: {events[-1]}')
        return events[-1]['answer']
    def leave(self):
        self.ask(f'visits/{self.name}/leave', b'')
