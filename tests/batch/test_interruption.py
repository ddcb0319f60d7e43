"Interruptions, from the command line: Ctrl-C, killed processes, a closed terminal, two at once"
import os, signal, subprocess, sys, time
import pytest
from batch_tools import (
    env, files, litter, photographs, posix, processes, quick, rows, start, until, worker_processes)
from colorized.batch.ledger import is_complete

pytestmark = posix

def all_complete(out): return all(is_complete(out/o) for o in files(out))

@pytest.mark.parametrize('wait', [0., 0.2, 0.5])
def test_ctrl_c_while_the_workers_are_being_born(tmp_path, model, wait):
    "It is neither lost nor does it leave a worker behind that complains"
    src,out = photographs(tmp_path/'in', 12, (400, 300)),tmp_path/'out'
    p = start(model, src, out)
    until(lambda: (out/'report.jsonl').exists() or p.poll() is not None)
    time.sleep(wait)
    os.killpg(p.pid, signal.SIGINT)
    said = p.communicate(timeout=60)[1]
    assert p.returncode==130 and 'interrupted' in said and 'Traceback' not in said, said
    assert all_complete(out) and not litter(out)

@pytest.mark.slow
def test_ctrl_c_then_kill_then_two_at_once(tmp_path, model, colorizer):
    src,out = photographs(tmp_path/'in', 24, (400, 300)),tmp_path/'out'
    made = lambda: len(files(out)) if out.exists() else 0
    p = start(model, src, out)
    until(lambda: made()>2 or p.poll() is not None)
    os.killpg(p.pid, signal.SIGINT) # as a terminal does
    said = p.communicate(timeout=60)[1]
    assert p.returncode==130 and 'the same command goes on from here' in said
    assert 'Traceback' not in said
    first = made()
    assert 2<first<24 and all_complete(out) and not litter(out) and (out/'report.csv').exists()

    p = start(model, src, out)
    until(lambda: made()>first+2 or p.poll() is not None)
    os.kill(p.pid, signal.SIGKILL)
    p.communicate(timeout=60)
    until(lambda: not processes(p.pid), 20) # its workers follow
    second = made()
    assert first+2<second<24 and all_complete(out)
    assert all(o.endswith('.claim') for o in litter(out))

    both = [start(model, src, out) for _ in range(2)]
    ends = [(*p.communicate(timeout=90), p.returncode) for p in both]
    assert all(o[2]==0 for o in ends), ends
    assert made()==24 and not litter(out)
    good = [o['path'] for o in rows(out) if not o['error']]
    assert len(good)==len(set(good))==24 # none was made twice
    assert quick(src, tmp_path/'ref', colorizer).done==24 and files(tmp_path/'ref')==files(out)

@pytest.mark.slow # half a minute
@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='finds the workers in /proc')
def test_workers_are_killed_then_the_terminal_is_closed(tmp_path, model, colorizer):
    "A killed worker costs one photograph at most; what a closed terminal leaves is cleared up"
    src,out = photographs(tmp_path/'in', 24, (400, 300)),tmp_path/'out'
    p = start(model, src, out)
    until(lambda: out.exists() and len(files(out))>1 or p.poll() is not None)
    victim = worker_processes(p.pid)[0]
    os.kill(victim, signal.SIGKILL)
    said = p.communicate(timeout=90)[1]
    made,failed = len(files(out)),said.count('the process that worked on it died')
    assert failed<=1 and p.returncode==failed and 'Traceback' not in said, said
    assert made>=24-failed # it may have died between the file and the word of it
    assert not litter(out)
    for o in list(files(out))[:18]: (out/o).unlink()

    p = start(model, src, out)
    until(lambda: len(files(out))>made-18 or p.poll() is not None)
    os.killpg(p.pid, signal.SIGHUP)
    p.communicate(timeout=60)
    until(lambda: not processes(p.pid), 20)
    assert p.returncode==-signal.SIGHUP and all_complete(out)
    assert start(model, src, out).wait(90)==0 and not litter(out)
    assert quick(src, tmp_path/'ref', colorizer).done==24 and files(tmp_path/'ref')==files(out)

def test_a_script_without_main_guard(tmp_path, model):
    "and with workers of its own importable name space: the user's script runs once"
    src = photographs(tmp_path/'in', 2)
    script = tmp_path/'script.py'
    script.write_text(f"""print('hello')
from colorized.batch.folder import colorize_folder
from colorized.inference.colorizer import Colorizer
colorizer = Colorizer.from_pretrained({str(model)!r}, 'cpu')
s = colorize_folder({str(src)!r}, {str(tmp_path/'out')!r}, colorizer, steps=1)
print(s.done)
""")
    argv = [sys.executable, script]
    p = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=100)
    assert p.stdout=='hello\n2\n' and p.returncode==0, p.stderr
