"A film on all cores: the same bytes as from one process, though workers and command are stopped"
import json, os, signal, subprocess, sys, time
from pathlib import Path
import pytest
from film_files import picture, write_film
from colorized.film import film as module
from colorized.film import workers as workers_module
from colorized.film.container import FilmError
from colorized.film.segments import Segments
from colorized.film.workers import FilmWorkers

linux = pytest.mark.skipif(not os.path.exists('/proc/self/stat'), reason='finds workers in /proc')

def reel(path, lengths=(40, 30, 50, 30), **kwargs):
    "A film of shots; the third has each picture twice"
    frames = [picture(i//2 if k%4==2 else i, seed=k)//(1+k%2)+40*(k%2)
              for k,n in enumerate(lengths) for i in range(n)]
    return write_film(path, frames, **kwargs)

def told(path):
    "The sidecar, without the seconds that it took"
    said = json.loads(path.with_suffix('.json').read_text())
    return {**said, 'shots': [{**o, 'seconds': 0} for o in said['shots']]}

def workers_of(pid):
    "Processes that a process has for its film"
    parents,names = {},{}
    for o in Path('/proc').glob('[0-9]*'):
        try:
            parents[int(o.name)] = int((o/'stat').read_text().rpartition(')')[2].split()[1])
            names[int(o.name)] = (o/'cmdline').read_bytes()
        except (OSError, IndexError):
            pass
    servers = {p for p,parent in parents.items() if parent==pid and b'forkserver' in names[p]}
    return [p for p,parent in parents.items() if parent in servers]

def until(condition, seconds=120):
    end = time.monotonic()+seconds
    while not (found := condition()):
        assert time.monotonic()<end, 'waited too long'
        time.sleep(0.002)
    return found

def is_alive(pid):
    try:
        return (Path('/proc')/str(pid)/'stat').read_text().rpartition(')')[2].split()[0]!='Z'
    except OSError:
        return False

def segments(dst):
    "Those that are done, and when they were"
    folder = dst.with_name(f'.{dst.name}.segments')
    return {o.stem: o.stat().st_mtime_ns for o in folder.glob('[0-9]*.json')}

class Bar(module.ProgressBar):
    "Remembers how it moved"
    def __init__(self):
        super().__init__(0, True)
        self.disable,self.steps = True,[]
    def update(self, n=1): self.steps.append(n)

def test_same_bytes_as_from_one_process(tmp_path, color, monkeypatch):
    "Hints, repeated frames, several stretches a shot, sound; and the bar knows every frame"
    monkeypatch.setattr('colorized.film.stretches.stretches.__defaults__', (25,))
    path = reel(tmp_path/'a.mkv', sound=1)
    options = dict(hints=[(0.7, 20, 20, 'red')], keep=True)
    one = color(path, tmp_path/'one.mkv', **options)
    asked = []
    number = FilmWorkers.number
    def spied(self, todo):
        asked.append(number(self, todo))
        return asked[-1]
    monkeypatch.setattr(FilmWorkers, 'number', spied)
    bar = Bar()
    many = module.colorize_film(path, tmp_path/'many.mkv', color.colorizer, bar, workers=2,
                                working_size=64, steps=2, gap=4, **options)
    assert asked==[2] and many.frames==sum(bar.steps)==150 and len(bar.steps)>8
    assert many.output.read_bytes()==one.output.read_bytes()
    assert told(many.output)==told(one.output)

def test_few_frames_are_not_worth_a_process(tmp_path, color, monkeypatch):
    monkeypatch.setattr(workers_module, 'Workers', None)
    assert color(reel(tmp_path/'a.mkv', (40, 59)), workers=8).frames==99

def test_what_goes_wrong_in_a_worker_is_told_as_ever(tmp_path, color):
    "A segment that cannot be written; the others are kept"
    path,dst = reel(tmp_path/'a.mkv'),tmp_path/'b.mkv'
    folder = dst.with_name('.b.mkv.segments')
    folder.mkdir()
    blocked = Segments(folder, None, {}).path(2)
    blocked.mkdir() # where the third segment should be
    with pytest.raises(OSError, match=blocked.name):
        color(path, dst, workers=2)
    assert not dst.exists() and len(segments(dst))>=1
    blocked.rmdir()
    assert color(path, dst, workers=2).frames==150

@linux
def test_a_worker_that_is_killed_names_its_shot(tmp_path, color, monkeypatch):
    path,dst = reel(tmp_path/'a.mkv'),tmp_path/'b.mkv'
    one = color(path, tmp_path/'one.mkv')
    class Killer(Bar):
        done = False
        def update(self, n=1):
            if not self.done and segments(dst):
                os.kill(workers_of(os.getpid())[0], signal.SIGKILL)
                self.done = True
    how = dict(working_size=64, steps=2, gap=4, workers=2)
    with pytest.raises(FilmError, match=r'a\.mkv: shot \d \(frames \d+ to \d+\): .*died'):
        module.colorize_film(path, dst, color.colorizer, Killer(), **how)
    kept = segments(dst)
    assert kept and not dst.exists() and not workers_of(os.getpid())
    again = module.colorize_film(path, dst, color.colorizer, False, keep=True, **how)
    assert again.output.read_bytes()==one.output.read_bytes()
    now = segments(dst)
    assert {k: now[k] for k in kept}==kept

@linux
@pytest.mark.slow
@pytest.mark.parametrize('how', [signal.SIGINT, signal.SIGKILL])
def test_the_command_is_stopped(tmp_path, color, model, how):
    "Its workers leave in the middle of their shots; the same command goes on, to the same bytes"
    path,dst = reel(tmp_path/'a.mkv', (20, 120, 120)),tmp_path/'b.mkv'
    one = color(path, tmp_path/'one.mkv')
    program = [str(Path(sys.executable).parent/'colorized'), 'film', str(path), '--out', str(dst)]
    command = [*program, '--model', str(model), '--device', 'cpu', '--threads', '2',
               '--working-size', '64', '--steps', '2', '--gap', '4']
    p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    workers = until(lambda: p.poll() is not None or segments(dst) and workers_of(p.pid))
    assert p.poll() is None and len(workers)==2
    kept = segments(dst)
    time.sleep(0.3) # and the long shots are begun
    p.send_signal(how)
    said = p.communicate(timeout=60)[1]
    assert p.returncode==(130 if how==signal.SIGINT else -how) and 'Traceback' not in said, said
    until(lambda: not any(map(is_alive, workers)), 60)
    assert segments(dst)==kept and len(kept)==1
    again = subprocess.run([*command, '--keep'], capture_output=True, text=True, timeout=200)
    assert again.returncode==0, again.stderr
    assert dst.read_bytes()==one.output.read_bytes()
    now = segments(dst)
    assert {k: now[k] for k in kept}==kept
