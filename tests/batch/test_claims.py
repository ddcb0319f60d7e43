"Claims on outputs: for how long they count on another machine, and whose they are"
import json, os, socket, subprocess, sys, threading, time
from pathlib import Path
import pytest
from batch_tools import env, until
from colorized.batch.claims import Claims, process_identity

@pytest.fixture
def claims(monkeypatch):
    "Those of a process that renews them often"
    monkeypatch.setattr(Claims, 'every', 0.02)
    out = Claims()
    yield out
    out.release()

def age(path): return time.time()-path.stat().st_mtime

def make_old(path): os.utime(path, (time.time()-3601,)*2)

def theirs(**more): return json.dumps({**process_identity(), 'host':'elsewhere', **more})

def test_work_of_hours_is_not_taken_over_by_another_machine(tmp_path, claims, monkeypatch):
    "nor is what was begun of it removed: its claim is renewed"
    claim,part = tmp_path/'.a.mkv.claim',tmp_path/'.a.mkv.01234567.tmp'
    assert claims.take(tmp_path/'a.mkv')
    part.write_bytes(b'half')
    make_old(claim)
    until(lambda: age(claim)<60, 10)
    monkeypatch.setattr('socket.gethostname', lambda: 'elsewhere')
    assert not Claims().take(tmp_path/'a.mkv') and part.exists()

def test_a_machine_that_stopped_keeps_nobody_waiting_for_more_than_an_hour(tmp_path, claims):
    claim,part = tmp_path/'.a.mkv.claim',tmp_path/'.a.mkv.01234567.tmp'
    claim.write_text(theirs())
    part.write_bytes(b'half')
    assert not claims.take(tmp_path/'a.mkv')
    make_old(claim)
    assert claims.take(tmp_path/'a.mkv') and not part.exists()

@pytest.mark.parametrize('where', ['machine', 'namespace'])
def test_a_number_means_nothing_elsewhere(tmp_path, claims, where):
    "In another container or on a copied machine, which have our host's name"
    claim,part = tmp_path/'.a.mkv.claim',tmp_path/'.a.mkv.01234567.tmp'
    stranger = dict(host=socket.gethostname(), pid=1, start='123 other-boot')
    claim.write_text(theirs(**stranger, **{where:'elsewhere'}))
    part.write_bytes(b'half')
    assert not claims.take(tmp_path/'a.mkv') and part.exists()
    make_old(claim)
    assert claims.take(tmp_path/'a.mkv') and not part.exists()

def test_claims_of_earlier_versions(tmp_path, claims):
    "They name neither machine nor namespace: the host's name decides"
    me = process_identity()
    for name,start in dict(alive=me['start'], dead='123 other-boot').items():
        old = dict(pid=me['pid'], host=me['host'], start=start)
        (tmp_path/f'.{name}.claim').write_text(json.dumps(old))
    assert not claims.take(tmp_path/'alive') and claims.take(tmp_path/'dead')

@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='asks the kernel of Linux')
def test_who_we_are():
    me,machine = process_identity(),Path('/etc/machine-id')
    assert me['namespace']==os.readlink('/proc/self/ns/pid')
    assert me['machine']==(machine.read_text().strip() if machine.exists() else '')

def test_who_was_asleep_neither_renews_nor_removes_the_claim_of_another(tmp_path, claims):
    claim = tmp_path/'.a.mkv.claim'
    assert claims.take(tmp_path/'a.mkv') and claims.take(tmp_path/'b.mkv')
    claim.write_text(theirs()) # taken over
    make_old(claim)
    make_old(tmp_path/'.b.mkv.claim')
    until(lambda: age(tmp_path/'.b.mkv.claim')<60, 10)
    assert age(claim)>3600
    claims.release()
    assert [o.name for o in tmp_path.iterdir()]==[claim.name] and claim.read_text()==theirs()

def test_one_thread_while_something_is_claimed_and_none_afterwards(tmp_path, claims):
    before = threading.active_count()
    for _ in range(2):
        assert claims.take(tmp_path/'a') and claims.take(tmp_path/'b')
        assert threading.active_count()==before+1
        claims.release(tmp_path/'a')
        make_old(tmp_path/'.b.claim')
        until(lambda: age(tmp_path/'.b.claim')<60, 10)
        claims.release(tmp_path/'b')
        until(lambda: threading.active_count()==before, 10)

def test_a_claim_keeps_no_program_from_ending(tmp_path):
    code = ("from pathlib import Path; from colorized.batch.claims import Claims; "
            f"Claims().take(Path({str(tmp_path/'a')!r}))")
    start = time.time()
    assert subprocess.run([sys.executable, '-c', code], env=env, timeout=60).returncode==0
    assert time.time()-start<50 and (tmp_path/'.a.claim').exists()

def plant(kind, path, original):
    "Something under a name that is ours, and what it leads to"
    if kind=='link': path.symlink_to(original)
    elif kind=='device': path.symlink_to('/dev/zero')
    elif kind=='pipe': os.mkfifo(path)
    elif kind=='folder': path.mkdir()
    else: os.link(original, path)

@pytest.mark.parametrize('kind', ['link', 'device', 'pipe', 'folder', 'hard link'])
def test_what_is_no_claim_is_left_alone_and_named(tmp_path, claims, kind):
    original = tmp_path/'master.tif'
    original.write_bytes(b'II*\0'+bytes(5000))
    make_old(original)
    plant(kind, tmp_path/'.a.jpg.claim', original)
    why = r'\.a\.jpg\.claim is (a link or no file|no claim): remove it'
    with pytest.raises(FileExistsError, match=why): claims.take(tmp_path/'a.jpg')
    assert original.read_bytes()==b'II*\0'+bytes(5000) and not claims.held

def test_a_claim_that_was_replaced_by_a_link_is_neither_renewed_nor_removed(tmp_path, claims):
    claim,copy = tmp_path/'.a.jpg.claim',tmp_path/'copy'
    assert claims.take(tmp_path/'a.jpg')
    claim.rename(copy)
    claim.symlink_to(copy)
    make_old(copy)
    time.sleep(0.1)
    assert age(copy)>3600
    claims.release()
    assert claim.is_symlink()

@pytest.mark.parametrize('pid', ['1e999', str(10**30), str(2**31), '0', '-1', '"x"', '[1]'])
def test_numbers_that_no_process_has(tmp_path, claims, pid):
    host,claim = json.dumps(socket.gethostname()),tmp_path/'.a.claim'
    claim.write_text(f'{{"host":{host},"pid":{pid},"start":""}}')
    assert not claims.take(tmp_path/'a') # its maker may be writing still
    make_old(claim)
    assert claims.take(tmp_path/'a')
