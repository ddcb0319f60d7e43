"`colorized app` in a process of its own"
import json, os, signal, socket, subprocess, sys, time
from pathlib import Path

SPY = '''import json, socket, sys
log = open(sys.argv.pop(1), 'a')
def note(event, args):
    if event in ('socket.bind', 'socket.connect'): found = args[1]
    elif event=='socket.getaddrinfo': found = args[0]
    else: return
    log.write(json.dumps([event, str(found)])+'\\n')
    log.flush()
sys.addaudithook(note)
from colorized.cli.main import main
sys.exit(main())
'''

def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]

class Server:
    "`colorized app` with small limits; it notes every address that it meets"
    def __init__(self, folder, *more):
        self.folder,self.log,self.port = folder,folder/'sockets',free_port()
        self.base = f'http://127.0.0.1:{self.port}/'
        (folder/'tmp').mkdir()
        env = dict(os.environ, OMP_NUM_THREADS='1', OMP_WAIT_POLICY='PASSIVE', PYTHONUNBUFFERED='1',
            TMPDIR=str(folder/'tmp'))
        command = [sys.executable, '-c', SPY, self.log, 'app', '--port', self.port,
            '--device', 'cpu', '--threads', 1, '--max-photos', 4, '--max-megapixels', 12, *more]
        # SIGHUP is ignored where the tests run under nohup, SIGINT where a shell started them
        hear = lambda: [signal.signal(o, signal.SIG_DFL) for o in (signal.SIGHUP, signal.SIGINT)]
        with open(folder/'out', 'w') as out:
            self.process = subprocess.Popen(list(map(str, command)), stdout=out,
                stderr=subprocess.STDOUT, env=env, preexec_fn=hear)
        self._wait_for_word()
    def _wait_for_word(self):
        deadline = time.monotonic()+120
        while 'The page is at' not in self.said:
            assert self.process.poll() is None and time.monotonic()<deadline, self.said
            time.sleep(0.1)
    @property
    def said(self):
        return (self.folder/'out').read_text()
    @property
    def kept(self):
        "Visitors' files; a folder may go meanwhile, which `walk` forgives and `glob` does not"
        tops = (self.folder/'tmp').glob('colorized-*/photos')
        return [Path(d)/o for top in tops for d,_,files in os.walk(top) for o in files]
    @property
    def sockets(self):
        return [tuple(json.loads(o)) for o in self.log.read_text().splitlines()]
    @property
    def cpu(self):
        "Seconds that it computed in its life"
        o = Path(f'/proc/{self.process.pid}/stat').read_text().rsplit(')', 1)[1].split()
        return (int(o[11])+int(o[12]))/os.sysconf('SC_CLK_TCK')
    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(120)
    def end_tidily(self, how):
        "What it bound, connected to and looked up in its life, and what it leaves behind"
        looked_up = {o for event,o in self.sockets if event=='socket.getaddrinfo'}
        assert looked_up<={'127.0.0.1', 'localhost', 'None'}, self.sockets
        met = [o for o in self.sockets if o[0]!='socket.getaddrinfo']
        for event,address in met:
            ours = address.startswith(("('127.0.0.1',", "('::1',", "''"))
            assert ours, (event, address)
        assert ('socket.bind', str(('127.0.0.1', self.port))) in met
        assert self.end(how)==0, self.said
        assert not list((self.folder/'tmp').glob('colorized-*')), self.said
        assert self.said.count('\n')==1, self.said # the address, no traceback
