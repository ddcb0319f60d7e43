"A film on two Ray nodes on loopback: same bytes, though processes, nodes and drivers die"
import importlib.util, json, os, signal, subprocess, sys, threading, time
from pathlib import Path
import pytest
from film_files import picture, write_film
os.environ['RAY_AUTH_MODE'] = 'disabled'
os.environ.pop('RAY_ADDRESS', None)
from colorized.cli.main import main
from colorized.film import stretches as module
from colorized.film.cluster import FilmCluster, FilmJob
from colorized.film.container import FilmError
from colorized.film.film import colorize_film

root = Path(__file__).resolve().parents[2]
SMALL = dict(working_size=64, steps=2, gap=4)

def reel(path, shots=6, n=8, **kwargs):
    "A film of several shots; the third has each picture twice"
    frames = [picture(i//2 if k==2 else i, seed=k)//(1+k%2)+40*(k%2)
              for k in range(shots) for i in range(n)]
    return write_film(path, frames, **kwargs)

def told(path):
    "The sidecar, without the seconds that it took"
    said = json.loads(path.with_suffix('.json').read_text())
    return {**said, 'shots': [{**o, 'seconds': 0} for o in said['shots']]}

def same(a, b):
    return a.read_bytes()==b.read_bytes() and told(a)==told(b)

class Backwards:
    "In place of a cluster: the last stretch first, each by a run of its own"
    def __init__(self): self.asked = []
    def color(self, run, todo, bar):
        import pickle
        job = pickle.dumps(FilmJob.of(run))
        for o in reversed(todo):
            self.asked.append(o.number)
            yield o,pickle.loads(job).start().color(o)

def test_stretches_need_nothing_of_each_other(tmp_path, color, monkeypatch):
    "Hints, repeated frames, long shots; what is done before is not asked for again"
    monkeypatch.setattr(module.stretches, '__defaults__', (5,))
    path,many = reel(tmp_path/'a.mkv', 4, sound=1),Backwards()
    options = dict(hints=[(0.7, 20, 20, 'red')], keep=True)
    one = color(path, tmp_path/'one.mkv', **options)
    two = color(path, tmp_path/'two.mkv', cluster=many, **options)
    assert same(one.output, two.output) and many.asked==[*range(len(many.asked))][::-1]
    assert len(many.asked)==8
    again = Backwards()
    color(path, tmp_path/'two.mkv', cluster=again, overwrite=True, keep=True)
    assert [*reversed(again.asked)]==[2, 3] # the shot that had the hint

def test_without_a_cluster_its_options_make_no_sense(tmp_path, capsys):
    path = str(write_film(tmp_path/'a.mkv', [picture(0)]))
    for options in (['--actors', '2'], ['--gpus', '1'], ['--address', 'auto', '--device', 'cpu']):
        assert main(['film', path, *options])==2
        assert options[0] in capsys.readouterr().err
    assert main(['film', path, '--address', 'auto', '--actors', '0'])==2
    assert 'above 0' in capsys.readouterr().err

# On real nodes

pytest_ray = [pytest.mark.slow, pytest.mark.skipif(
    not sys.platform.startswith('linux') or not importlib.util.find_spec('ray'),
    reason='finds the processes of a node in /proc; needs the extra fleet')]

@pytest.fixture(scope='module')
def nodes():
    "The head and one node more"
    from benchmarks.support import loopback
    out = [loopback.Node()]
    try:
        out.append(loopback.Node(out[0]))
        yield out
    finally:
        for o in reversed(out): o.kill()

@pytest.fixture
def go(nodes, tiny):
    "Colors on the cluster, from this process, which leaves it afterwards"
    import ray
    def run(path, out, **kwargs):
        cluster = FilmCluster(nodes[0].address)
        how = {**SMALL, **kwargs}
        return colorize_film(path, out, tiny, progress=False, cluster=cluster, **how)
    yield run
    assert not ray.is_initialized()

def until(condition, seconds=120):
    end = time.time()+seconds
    while not condition():
        assert time.time()<end, 'waited too long'
        time.sleep(0.002)

def segments(dst):
    "Numbers of those that are done"
    folder = dst.with_name(f'.{dst.name}.segments')
    return {int(o.stem) for o in folder.glob('[0-9]*.json')}

class TestOnNodes:
    pytestmark = pytest_ray

    @pytest.mark.parametrize('name', ['film.mkv', 'film.mp4'])
    def test_same_bytes_as_on_one_machine(self, tmp_path, color, go, name):
        path = reel(tmp_path/'a.mkv', sound=2)
        (tmp_path/'one').mkdir()
        (tmp_path/'many').mkdir()
        one = color(path, tmp_path/'one'/name)
        many = go(path, tmp_path/'many'/name)
        assert same(one.output, many.output)
        assert {o.name for o in (tmp_path/'many').iterdir()}=={
            o.name for o in (tmp_path/'one').iterdir()}

    def test_a_process_and_a_node_are_killed(self, tmp_path, color, go, nodes):
        "What had the dead one is colored by another"
        from benchmarks.support import loopback
        path = reel(tmp_path/'a.mkv', 24)
        one,dst = color(path, tmp_path/'one.mkv'),tmp_path/'many.mkv'
        deeds,wrong = [],[]
        def give_up(*_): # else the run waits for a node that never comes
            raise AssertionError(f'{deeds}, then {wrong}')
        signal.signal(signal.SIGALRM, give_up)
        def murder():
            try:
                until(lambda: len(segments(dst))>=2 and nodes[0].workers('color_stretch'))
                os.kill(nodes[0].workers('color_stretch')[0], signal.SIGKILL)
                deeds.append('worker')
                until(lambda: len(segments(dst))>=6 and nodes[1].workers('color_stretch'))
                nodes[1].kill()
                deeds.append('node')
                deeds.append(len(segments(dst)))
            except BaseException as e:
                wrong.append(e)
                os.kill(os.getpid(), signal.SIGALRM)
        killer = threading.Thread(target=murder)
        killer.start()
        many = go(path, dst)
        killer.join()
        nodes[1] = loopback.Node(nodes[0])
        assert deeds[:2]==['worker', 'node'] and deeds[2]<24 and not wrong
        assert same(one.output, many.output)

    def test_the_command_is_killed_and_started_again(self, tmp_path, color, nodes, model):
        "Segments that are whole are kept; Ctrl-C does the same"
        path,dst = reel(tmp_path/'a.mkv', 24),tmp_path/'many.mkv'
        one = color(path, tmp_path/'one.mkv')
        env = {**os.environ, 'PYTHONPATH':str(root), 'OMP_NUM_THREADS':'1'}
        argv = ['film', path, '--out', dst, '--model', model, '--address', nodes[0].address]
        argv += [x for k,v in SMALL.items() for x in (f"--{k.replace('_', '-')}", v)]
        code = 'import sys; from colorized.cli.main import main; sys.exit(main())'
        start = lambda: subprocess.Popen([sys.executable, '-c', code, *map(str, argv)], env=env,
                                         text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        folder = dst.with_name(f'.{dst.name}.segments')
        when = lambda: {i: (folder/f'{i:06}.mkv').stat().st_mtime_ns for i in done}
        done = set()
        for how,least in ((signal.SIGKILL, 3), (signal.SIGINT, 8)):
            p,before,known = start(),when(),done
            until(lambda: len(segments(dst))>=least or p.poll() is not None)
            p.send_signal(how)
            said = p.communicate()[1]
            assert p.returncode=={signal.SIGKILL: -9, signal.SIGINT: 130}[how], said
            until(lambda: not [o for n in nodes for o in n.workers('color_stretch')])
            assert {k: v for k,v in when().items() if k in known}==before
            done = segments(dst)
            assert least<=len(done)<24
        before = when()
        p = start()
        until(lambda: len(segments(dst))>len(done) or p.poll() is not None)
        assert when()==before
        said = p.communicate(timeout=240)[1]
        assert p.returncode==0, said
        assert told(dst)==told(one.output) and dst.read_bytes()==one.output.read_bytes()
        assert sorted(o.name for o in tmp_path.glob('.*'))==[]

    def test_what_fails_names_its_shot(self, tmp_path, go, nodes):
        "A segment that cannot be written; what is whole stays"
        path,dst = reel(tmp_path/'a.mkv', 6),tmp_path/'many.mkv'
        bad = tmp_path/'.many.mkv.segments/000004.mkv'
        bad.mkdir(parents=True)
        with pytest.raises(FilmError) as e:
            go(path, dst)
        said = str(e.value)
        assert said.startswith(f'{path}: shot 5 (frames 32 to 39): ') and '\n' not in said, said
        assert 'Is a directory' in said and not dst.exists()
        done = segments(dst)
        bad.rmdir()
        assert done and 4 not in done and go(path, dst).frames==48

    def test_a_shot_on_which_processes_die(self, tmp_path, go, nodes):
        "is given up after the fourth and named"
        path,dst,over = reel(tmp_path/'a.mkv', 1),tmp_path/'many.mkv',threading.Event()
        dead = set()
        def murder():
            while not over.wait(0.001):
                for pid in {o for n in nodes for o in n.workers('color_stretch')}-dead:
                    dead.add(pid)
                    os.kill(pid, signal.SIGKILL)
        killer = threading.Thread(target=murder)
        killer.start()
        try:
            with pytest.raises(FilmError, match=r'a.mkv: shot 1 \(frames 0 to 7\): .* died'):
                go(path, dst)
        finally:
            over.set()
            killer.join()
        assert len(dead)==4
        assert go(path, dst).frames==8

    def test_too_little_room_is_said_at_once(self, tmp_path, nodes, tiny):
        path = reel(tmp_path/'a.mkv', 1)
        for options,said in ((dict(gpus=1), 'gpus: .* 1, .* 0 GPUs'),
                             (dict(threads=8), 'threads: .* 8, .* 1 CPUs')):
            with pytest.raises(ValueError, match=said):
                cluster = FilmCluster(nodes[0].address, **options)
                colorize_film(path, None, tiny, progress=False, cluster=cluster, **SMALL)
