import subprocess, pytest
from colorized.inference.colorizer import Colorizer

@pytest.fixture(scope='module')
def colorizer(model): return Colorizer.from_pretrained(model, 'cpu')

@pytest.fixture
def small_disk(tmp_path):
    "A file system of 400 kB"
    path = tmp_path/'disk'
    path.mkdir()
    mount = ['mount', '-t', 'tmpfs', '-o', 'size=400k', 'tmpfs', path]
    if subprocess.run(mount, capture_output=True).returncode: pytest.skip('may not mount')
    yield path
    subprocess.run(['umount', path], check=True)
