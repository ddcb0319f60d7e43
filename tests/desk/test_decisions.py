"Decisions that must not be lost: kills, two reviewers, later versions, read-only albums"
import os, random, shutil, signal, sqlite3, subprocess, sys, threading, time
from contextlib import closing
from pathlib import Path
import pytest
from colorized.desk import database
from colorized.desk.decisions import (DECISIONS, FILE, MIGRATIONS, Change, Conflict, Decisions,
    NothingToUndo, Photo, State)
from colorized.desk.database import Database, Unwritable

root = Path(__file__).resolve().parents[2]
A,B,C = (Photo(o*64, f'{o}.jpg') for o in 'abc')
posix = pytest.mark.skipif(os.name!='posix', reason='signals and mounts of POSIX')

@pytest.fixture
def store(tmp_path):
    o = Decisions(tmp_path)
    yield o
    o.close()

def say(store, photo, reviewer='Anna', **what):
    now = store.states().get(photo, State())
    return store.decide([Change(photo, now.version, what)], reviewer)[photo]

# ---- kills ----
DECIDE = '''import sys
from colorized.desk.decisions import *
store = Decisions(sys.argv[1])
photo = Photo('a'*64, 'a.jpg')
n = store.states().get(photo, State()).version
while True:
    store.decide([Change(photo, n, dict(note=str(n+1)))], 'Anna')
    n += 1
    print(n, flush=True)
'''

@posix
def test_a_kill_loses_at_most_what_is_being_decided(tmp_path):
    "`kill -9` after a random time, twelve times over one store"
    env,moment,told = dict(os.environ, PYTHONPATH=str(root)),random.Random(0),0
    for _ in range(12):
        process = subprocess.Popen([sys.executable, '-c', DECIDE, tmp_path], env=env,
                                   stdout=subprocess.PIPE, text=True)
        first = process.stdout.readline()
        time.sleep(moment.random()*0.15)
        process.send_signal(signal.SIGKILL)
        heard = [first, *process.stdout.read().splitlines()]
        assert process.wait()==-signal.SIGKILL and int(first)>told
        told = int(heard[-1])
        with closing(Decisions(tmp_path)) as store:
            state = store.states()[A]
            assert state.version in (told, told+1) and state.note==str(state.version)
            assert [o.note for o in store.history(A)]==[str(i+1) for i in range(state.version)]
        told = state.version
    assert told>100

def test_every_decision_is_flushed_before_it_is_reported(tmp_path, store):
    "What a power cut needs, and a kill does not show"
    assert store.store.read('PRAGMA synchronous')[0][0]==2 # FULL
    assert store.store.read('PRAGMA journal_mode')[0][0]=='wal'
    say(store, A, decision='accepted')
    copy = tmp_path/'copy'
    copy.mkdir()
    for end in '','-wal':
        shutil.copy(f'{tmp_path/FILE}{end}', copy)
    with closing(Decisions(copy)) as other: # as a dead machine would leave it
        assert other.states()==store.states()

# ---- two reviewers ----
def test_a_second_reviewer_never_overwrites_silently(tmp_path, store):
    "Neither through the same server nor through another one"
    with closing(Decisions(tmp_path)) as other:
        say(store, A, decision='accepted')
        with pytest.raises(Conflict, match='Anna has decided about “a.jpg” meanwhile .accepted'):
            other.decide([Change(A, 0, dict(decision='rejected'))], 'Max')
        assert other.states()[A].decision=='accepted'
        assert say(other, A, 'Max', decision='rejected').version==2
        assert store.states()[A].reviewer=='Max'

def test_of_many_in_the_same_moment_one_is_kept(tmp_path):
    stores,won,late = [Decisions(tmp_path) for _ in range(4)],[],[]
    def decide(store, name):
        try:
            store.decide([Change(A, 0, dict(note=name))], name)
            won.append(name)
        except Conflict as e:
            late.append(e.states[A].reviewer)
    threads = [threading.Thread(target=decide, args=(o, f'r{i}')) for i,o in enumerate(stores)]
    for o in threads: o.start()
    for o in threads: o.join()
    assert len(won)==1 and late==won*3
    assert [o.note for o in stores[0].history(A)]==won
    for o in stores: o.close()

def test_an_action_is_kept_as_a_whole_or_not_at_all(store):
    say(store, B, 'Max', decision='rejected')
    with pytest.raises(Conflict, match='Max has decided about “b.jpg”') as e:
        store.decide([Change(o, 0, dict(decision='accepted')) for o in (A, B, C)], 'Anna')
    assert set(e.value.states)=={B} and set(store.states())=={B}
    assert store.store.read('SELECT count(*) FROM photographs')[0][0]==1
    with pytest.raises(ValueError, match='twice'):
        store.decide([Change(A, 0, dict(note='x')), Change(A, 0, dict(note='y'))], 'Anna')

# ---- undo ----
def test_undo_walks_back_and_redo_forth(tmp_path, store):
    for i,o in enumerate((A, B, A, C)):
        say(store, o, decision=DECISIONS[1+i%3], note=f'{i}')
    seen = lambda: [store.states()[o].note for o in (A, B, C)]
    steps = [seen()]
    for _ in range(4):
        store.undo('Anna')
        steps.append(seen())
    assert steps==[['2','1','3'], ['2','1',''], ['0','1',''], ['0','',''], ['','','']]
    with pytest.raises(NothingToUndo, match='nothing to undo'): store.undo('Anna')
    for want in steps[-2::-1]:
        store.close()
        store = Decisions(tmp_path) # a restart before each step
        store.redo('Anna')
        assert seen()==want
    with pytest.raises(NothingToUndo, match='nothing to redo'): store.redo('Anna')
    store.close()

def test_a_new_decision_forgets_what_was_undone(store):
    say(store, A, note='1')
    say(store, A, note='2')
    store.undo('Anna')
    say(store, B, note='3')
    assert store.piles('Anna')==(2, 0)
    store.undo('Anna')
    assert store.undo('Anna')[A].note=='' and store.piles('Anna')==(0, 2)

def test_undo_is_ones_own_and_respects_others(store):
    say(store, A, decision='accepted')
    say(store, B, 'Max', decision='accepted')
    assert set(store.undo('Anna'))=={A}
    say(store, A, 'Max', note='a barn')
    with pytest.raises(Conflict, match='Max has decided'): store.redo('Anna')
    store.undo('Max') # the note; now as Anna left it, and yet Max has been there
    with pytest.raises(Conflict): store.redo('Anna')
    assert store.states()[A].decision=='undecided'

def test_an_undo_restores_everything_that_an_event_says(store):
    before = say(store, A, decision='accepted', note='n', seed=5, strength=1.2, output_sha256='x')
    say(store, A, decision='rejected', note='', seed=None, strength=None, output_sha256='y')
    after = store.undo('Anna')[A]
    said = 'decision', 'note', 'seed', 'strength', 'output_sha256'
    assert [getattr(after, o) for o in said]==[getattr(before, o) for o in said]
    assert after.version==3

# ---- renaming ----
def test_a_rename_keeps_the_decisions_and_never_merges(store):
    say(store, A, note='a')
    new,other = A._replace(path='x/new.jpg'), A._replace(path='copy.jpg')
    store.rename({A: new})
    assert store.states()[new].note=='a' and A not in store.states()
    assert store.undo('Anna')[new].note=='' # the undo follows
    say(store, other, note='copy')
    store.rename({new: other}) # that name is taken by another copy
    assert {o.note for o in store.states().values()}=={'', 'copy'}

# ---- the file ----
def test_a_later_form_keeps_what_was_decided(tmp_path, store):
    say(store, A, note='kept')
    store.close()
    later = *MIGRATIONS,("ALTER TABLE events ADD COLUMN place TEXT DEFAULT 'x'",)
    with closing(Database(tmp_path/FILE, later)) as o:
        row, = o.read('SELECT note, place FROM events')
        assert tuple(row)==('kept', 'x')
    before = (tmp_path/FILE).read_bytes()
    with pytest.raises(ValueError, match='later version.*update'): Decisions(tmp_path)
    assert (tmp_path/FILE).read_bytes()==before

def test_a_step_that_fails_leaves_the_old_form(tmp_path, store):
    say(store, A, note='kept')
    store.close()
    broken = *MIGRATIONS,('ALTER TABLE events ADD COLUMN place TEXT', 'ALTER TABLE nothing')
    with pytest.raises(sqlite3.Error):
        with closing(sqlite3.connect(tmp_path/FILE, isolation_level=None)) as db:
            database.migrate(db, broken)
    with closing(Decisions(tmp_path)) as o:
        assert o.states()[A].note=='kept'
        assert 'place' not in dict(o.store.read('SELECT * FROM events')[0])

def test_a_damaged_store_is_refused_by_name(tmp_path, store):
    for i in range(60): say(store, Photo('d'*64, f'{i}.jpg'), note='n'*1000)
    store.close()
    whole = (tmp_path/FILE).read_bytes()
    for start in 0, 4096*5:
        damaged = whole[:start]+bytes(4096)+whole[start+4096:]
        (tmp_path/FILE).write_bytes(damaged)
        with pytest.raises((ValueError, FileExistsError), match=f'{FILE}.*(damaged|not made)'):
            Decisions(tmp_path)
        assert (tmp_path/FILE).read_bytes()==damaged

def test_neither_links_nor_folders_are_a_store(tmp_path):
    elsewhere = tmp_path/'elsewhere.sqlite'
    elsewhere.write_bytes(b'')
    (tmp_path/FILE).symlink_to(elsewhere)
    with pytest.raises(FileExistsError, match=FILE): Decisions(tmp_path)
    assert elsewhere.read_bytes()==b''
    (tmp_path/FILE).unlink()
    (tmp_path/FILE).mkdir()
    with pytest.raises(FileExistsError, match=FILE): Decisions(tmp_path)

# ---- read-only ----
@pytest.fixture
def read_only(tmp_path):
    "A folder that is made read-only by a second mount; also root may not write there"
    album,bound = tmp_path/'album',tmp_path/'bound'
    album.mkdir()
    bound.mkdir()
    mounted = []
    def mount():
        for o in (['--bind', album], ['-o', 'remount,bind,ro']):
            if subprocess.run(['mount', *o, bound], capture_output=True).returncode:
                pytest.skip('may not mount')
            mounted.append(o)
        return bound
    yield album,mount
    subprocess.run(['umount', bound], check=bool(mounted))

@posix
@pytest.mark.parametrize('left', ['nothing', 'closed', 'killed'])
def test_a_read_only_album_can_be_looked_at(read_only, left):
    "Also where a killed server has left its log, which nobody can take over there"
    album,mount = read_only
    if left!='nothing':
        writer = Decisions(album)
        say(writer, A, decision='accepted')
        if left=='closed': writer.close()
        else: # as the kill leaves the folder
            for end in '','-wal': shutil.copy(f'{album/FILE}{end}', album.parent)
            writer.close()
            for end in '','-wal': shutil.copy(f'{album.parent/FILE}{end}', album)
    with closing(Decisions(mount())) as o:
        assert {k: v.decision for k,v in o.states().items()}== \
            ({} if left=='nothing' else {A: 'accepted'})
        assert 'cannot be written' in o.why_not
        with pytest.raises(Unwritable, match='Nothing can be decided here: .*cannot be written'):
            o.decide([Change(B, 0, dict(note='x'))], 'Anna')

@posix
def test_a_full_disk_is_told_and_nothing_is_half_kept(tmp_path):
    disk = tmp_path/'disk'
    disk.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=300k', 'tmpfs', disk],
                      capture_output=True).returncode: pytest.skip('may not mount')
    try:
        store,kept = Decisions(disk),0
        with pytest.raises(Unwritable, match=f'Nothing was kept: {FILE}'):
            while True:
                say(store, Photo('f'*64, f'{kept}.jpg'), note='n'*5000)
                kept += 1
        assert kept and len(store.states())==kept
        store.close()
        with closing(Decisions(disk, look_only=True)) as o: assert len(o.states())==kept
    finally:
        subprocess.run(['umount', disk], check=True)

def test_a_store_that_another_program_holds(store, tmp_path):
    store.store._db.execute('PRAGMA busy_timeout=50')
    with closing(sqlite3.connect(tmp_path/FILE, isolation_level=None)) as other:
        other.execute('BEGIN IMMEDIATE')
        with pytest.raises(Unwritable, match='locked'): say(store, A, note='x')
        other.execute('ROLLBACK')
    assert say(store, A, note='x').version==1
