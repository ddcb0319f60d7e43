"What the tests of fleets share"
import hashlib, time
import boto3
from colorized.fleet.record import Record
from colorized.fleet.sources import photographs
from colorized.fleet.store import Store

made = dict(seed=0, model_sha256='m'*64, settings_sha256='s'*64)

def world(folder):
    "Three photographs, colored and recorded"
    store = Store(folder/'out')
    record = Record(store, every=1e9)
    (folder/'in').mkdir()
    for k in 'abc':
        (folder/f'in/{k}.jpg').write_bytes(k.encode())
        store.put(f'{k}.jpg', 2*k.encode())
    photos,_ = photographs(folder/'in')
    for url,o in photos.items():
        sha = hashlib.sha256(2*o['name'][:1].encode()).hexdigest()
        record.add(dict(
            path=url, etag=o['etag'], source_bytes=1, source_sha256='x', output=o['name'],
            output_bytes=2, output_sha256=sha, how='new', attempt=1, tone='neutral', seconds=1.,
            **made))
    record.flush()
    return photos,store

def client_of(bucket):
    "Another client of the server"
    return boto3.client(
        's3', endpoint_url=bucket.storage['endpoint_url'], aws_access_key_id='a',
        aws_secret_access_key='b', region_name='us-east-1')

def until(condition, seconds=120):
    end = time.time()+seconds
    while not condition():
        assert time.time()<end, 'waited too long'
        time.sleep(0.02)

class Bar:
    "A progress bar that remembers what it said"
    def __init__(self): self.said = []
    def say(self, what): self.said.append(what)
    def update(self): pass
