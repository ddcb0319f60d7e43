import shutil, signal, sys
from pathlib import Path
import numpy as np, pytest, torch
from PIL import Image
from tiny import tiny_model

sys.path.append(str(Path(__file__).resolve().parent.parent)) # for benchmarks

# What a test starts must be able to be stopped, also where the tests run behind `nohup` or `&`
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, 'SIGHUP'):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

def pytest_collection_modifyitems(items):
    "The site is built first: it takes longest, and at the end one process alone would be busy"
    items.sort(key=lambda o: o.path.name!='test_site.py')

@pytest.fixture(scope='session')
def model(tmp_path_factory):
    "Checkpoint of a tiny network, for tests that care about files and not about colors"
    torch.set_num_threads(1)
    return tiny_model(tmp_path_factory.mktemp('model')/'tiny.safetensors')

@pytest.fixture(scope='module')
def browser():
    "Chromium that reaches this computer only"
    from playwright.sync_api import sync_playwright
    found = map(shutil.which, ['chromium', 'chromium-browser', 'google-chrome'])
    path = next(filter(None, found), None)
    if path is None:
        pytest.skip('needs Chromium')
    # The network is closed here, and not by intercepting,
    # which would also fetch the site's scripts anew for each page.
    flags = ['--no-sandbox', '--disable-gpu', '--disable-background-networking',
             '--disable-component-update', '--disable-sync',
             '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1']
    with sync_playwright() as p:
        b = p.chromium.launch(executable_path=path, args=flags)
        yield b
        b.close()

@pytest.fixture
def firefox(tmp_path):
    if not shutil.which('firefox-esr'):
        pytest.skip('needs Firefox')
    from firefox import Firefox
    o = Firefox(tmp_path)
    yield o
    o.close()

@pytest.fixture(scope='session')
def gray():
    "(128,200) uint8, colored at a shorter side of 256"
    photo = Path(__file__).resolve().parent.parent/'nbs/images/campus-1910.jpg'
    im = Image.open(photo).convert('L').resize((200, 128), Image.Resampling.LANCZOS)
    return np.asarray(im)
