"What institutions check: the public interface, the lock, the release"
import re, sys
from configparser import ConfigParser
from pathlib import Path
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root/'tools'))
ini = ConfigParser(delimiters=['='], interpolation=None)
ini.read(root/'settings.ini', encoding='utf-8')
needed = lambda k: [Requirement(o) for o in ini['DEFAULT'][k].split('\n') if o.strip()]
OF_THE_MACHINE = 'torch', 'torchvision' # Which build is right is for the machine to say

def test_the_public_interface_is_what_its_page_says():
    "Whoever changes it says so in the changelog, and runs tools/interface.py --write"
    import interface
    written = interface.BLOCK.search(interface.PAGE.read_text('utf-8'))[0]
    assert interface.text().splitlines()==written.splitlines()

def _rename_a_method(monkeypatch):
    from colorized import Colorization
    monkeypatch.setattr(Colorization, 'write', Colorization.save, raising=False)

def _change_a_default(monkeypatch):
    import colorized.photo.reading as reading
    monkeypatch.setattr(reading.read_scan, '__defaults__', (1e6,))

def _drop_a_command(monkeypatch):
    import colorized.cli.main as main
    monkeypatch.delitem(main.COMMANDS, 'info')

def _change_an_option(monkeypatch):
    from colorized.cli.info import info
    monkeypatch.setattr(info, '__defaults__', ('default', *info.__defaults__[1:]))

def _drop_a_column(monkeypatch):
    import colorized.batch.ledger as ledger
    monkeypatch.setattr(ledger, 'COLUMNS', ledger.COLUMNS[:-1])

CHANGES = [_rename_a_method, _change_a_default, _drop_a_command, _change_an_option, _drop_a_column]

@pytest.mark.parametrize('change', CHANGES)
def test_a_change_of_the_interface_is_noticed(change, monkeypatch):
    import interface
    before = interface.text()
    change(monkeypatch)
    assert interface.text()!=before

PINNED = r'^([a-z\d].*?) \\\n((?:    --hash=sha256:[\da-f]{64}(?: \\)?\n)+)'

def locked(name):
    "{package: [(version, marker, number of hashes)]} of a lock"
    text = (root/'requirements'/name).read_text('utf-8')
    found = {}
    for o in re.finditer(PINNED, text, re.M):
        line = Requirement(o[1])
        pin, = line.specifier
        assert pin.operator=='=='
        found.setdefault(canonicalize_name(line.name), []).append(
            (Version(pin.version), line.marker, o[2].count('--hash')))
    assert sum(map(len, found.values()))==len(re.findall(r'^[a-z\d]', text, re.M))
    return found

def extras():
    "What the extra `dev` holds, as setup.py puts it together"
    setup = (root/'setup.py').read_text('utf-8')
    apart = re.findall(r"'(\w+)'", re.search(r'^apart = \((.*)\)', setup, re.M)[1])
    assert len(apart)==4
    keys = [k for k in ini['DEFAULT'] if k.endswith('_requirements')]
    return [o for k in keys if k.removesuffix('_requirements') not in apart for o in needed(k)]

@pytest.mark.parametrize('name,wanted', [
    ('core.txt', needed('requirements')), ('dev.txt', [*needed('requirements'), *extras()])])
def test_the_lock_meets_the_requirements(name, wanted):
    "After a change of settings.ini: bash tools/lock"
    pins = locked(name)
    assert not set(OF_THE_MACHINE) & set(pins)
    for o in wanted:
        if o.name in OF_THE_MACHINE: continue
        versions = pins[canonicalize_name(o.name)]
        assert all(o.specifier.contains(v, prereleases=True) for v,*_ in versions), o

def test_both_locks_agree():
    core,dev = locked('core.txt'),locked('dev.txt')
    for name,pins in core.items():
        assert {v for v,*_ in pins} <= {v for v,*_ in dev[name]}, name

def test_actions_are_named_by_their_commits():
    "A tag can be moved to other code, a commit cannot"
    for o in (root/'.github/workflows').glob('*.yml'):
        for used in re.findall(r'uses: (\S+)', o.read_text('utf-8')):
            assert used.startswith('./') or re.search(r'@[\da-f]{40}$', used), f'{o.name}: {used}'
