import pytest

@pytest.fixture(scope='module')
def bucket():
    "An S3 server on loopback"
    from benchmarks.support.loopback import Bucket
    b = Bucket()
    yield b
    b.close()

@pytest.fixture
def s3(bucket, request):
    "A store of its own for each test, that asks only once, and the bucket"
    from colorized.fleet.store import Store
    bucket.mood = None
    once = dict(retries=dict(mode='standard', max_attempts=1))
    storage = {**bucket.storage, 'config_kwargs':once}
    return Store(f'{bucket.url}/{request.node.name}', storage),bucket
