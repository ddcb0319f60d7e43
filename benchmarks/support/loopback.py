"""A bucket and a cluster on one machine, for tests and benchmarks

moto's S3 server with bad moods, and Ray nodes that can be killed."""
import logging, os, random, secrets, signal, socket, subprocess, sys, threading, time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KEYS = dict(key='testing', secret='testing')

def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]

class Bucket:
    """An S3 server in this process

    `mood(method, path)` may sleep, or return a status to answer instead; `log` keeps
    (method, path, status)."""
    def __init__(self, name='archive'):
        from moto.moto_server.werkzeug_app import (DomainDispatcherApplication,
            create_backend_app)
        from werkzeug.serving import make_server
        self.app = DomainDispatcherApplication(create_backend_app)
        self.log,self.mood,self.lock = [],None,threading.Lock()
        self.server = make_server('127.0.0.1', free_port(), self.answer, threaded=True)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.storage = dict(KEYS, endpoint_url=f'http://127.0.0.1:{self.server.port}')
        logging.getLogger('werkzeug').setLevel(logging.ERROR)
        import s3fs
        uncached = dict(use_listings_cache=False, skip_instance_cache=True)
        self.fs = s3fs.S3FileSystem(**self.storage, **uncached)
        self.url = f's3://{name}'
        self.fs.mkdir(name)
    def answer(self, environ, start):
        method,path = environ['REQUEST_METHOD'],environ['PATH_INFO']
        status = self.mood and self.mood(method, path)
        lost = status=='lost' # done, but the answer does not arrive
        if status and not lost:
            environ['wsgi.input'].read(int(environ.get('CONTENT_LENGTH') or 0))
            self.log.append((method, path, status))
            start(f'{status} Trouble', [('Content-Length', '0')])
            return [b'']
        def begin(s, headers, *args):
            self.log.append((method, path, int(s.split()[0])))
            if lost: return start('500 Trouble', [('Content-Length', '0')], *args)
            return start(s, headers, *args)
        with self.lock: # moto is not made for threads
            out = list(self.app(environ, begin))
        return [b''] if lost else out
    def written(self, part=''):
        "How often each object was written"
        out = {}
        for method,path,status in self.log:
            if method=='PUT' and status==200 and part in path and path.count('/')>1:
                out[path] = out.get(path, 0)+1
        return out
    def close(self):
        # moto keeps its buckets for the whole process and has no public way to drop them
        from moto.moto_api._internal import moto_api_backend # noqa: PLC2701
        self.server.shutdown()
        moto_api_backend.reset()

def moody(share, seed=0, slow=0.):
    "Answers a share of requests with an error or late, or does the work and loses the answer"
    rng = random.Random(seed)
    def mood(method, path):
        if slow: time.sleep(rng.uniform(0, slow))
        if (method!='PUT' or path.count('/')>1) and rng.random()<share:
            return rng.choice([500, 503, 503, 'lost'])
    return mood

def processes(mark):
    "Processes that carry a mark in their environment"
    out = []
    for o in Path('/proc').glob('[0-9]*'):
        try:
            if mark.encode() in (o/'environ').read_bytes() and int(o.name)!=os.getpid():
                title = (o/'cmdline').read_bytes().replace(b'\0', b' ').decode()
                out.append((int(o.name), title))
        except OSError:
            continue
    return out

START = """
import sys, time, ray._private.services as services
get = services.get_node
def patient(*args): # Ray gives a node half a minute, which a busy machine may not
    end = time.time()+60
    while True:
        try: return get(*args)
        except RuntimeError:
            if time.time()>end: raise
            time.sleep(0.2)
services.get_node = patient
from ray.scripts.scripts import main
sys.argv[0] = 'ray'
main()
"""
SETTINGS = dict(
    RAY_AUTH_MODE='disabled', RAY_USAGE_STATS_ENABLED='0', RAY_num_workers_soft_limit='12',
    RAY_agent_register_timeout_ms='180000', RAY_health_check_period_ms='500',
    RAY_health_check_failure_threshold='6', OMP_NUM_THREADS='1', PYTHONPATH=str(ROOT))
# Chosen here, so that a busy machine need not tell in time
PORTS = ('dashboard-agent-listen-port', 'dashboard-agent-grpc-port', 'metrics-export-port',
         'runtime-env-agent-port')

class Node:
    "A Ray node: the head of a cluster, or one that joins it"
    def __init__(self, head=None, cpus=1, store=120_000_000, env=None):
        self.port = head.port if head else free_port()
        self.address = f'127.0.0.1:{self.port}'
        name,value = 'LOOPBACK_NODE',secrets.token_hex(8)
        self.mark = f'{name}={value}'
        full = {**os.environ, name: value, **SETTINGS, **(env or {})}
        where = ['--head', '--port', str(self.port), '--include-dashboard', 'false']
        if head:
            where = ['--address', self.address]
        for o in PORTS: where += [f'--{o}', str(free_port())]
        command = [sys.executable, '-c', START, 'start', *where, '--node-ip-address', '127.0.0.1',
                   '--num-cpus', str(cpus), '--object-store-memory', str(store),
                   '--disable-usage-stats']
        # on a busy machine a node may give up because its agent is not there in 15 seconds, and
        # its start never hears of it
        for _ in range(3):
            p = subprocess.run(command, env=full, capture_output=True, text=True,
                               start_new_session=True)
            if not p.returncode: return
            self.kill()
        raise RuntimeError(p.stderr[-2000:])
    def workers(self, name=''):
        "Its worker processes whose title holds `name`; without its agents a node is dead"
        return [pid for pid,title in processes(self.mark)
                if title.startswith('ray::') and name in title and 'Agent' not in title]
    def kill(self):
        "A power cut"
        for sig in (signal.SIGKILL,)*2: # the second for what was born meanwhile
            for pid,_ in processes(self.mark):
                try:
                    os.kill(pid, sig)
                except ProcessLookupError:
                    pass
            time.sleep(0.1)
