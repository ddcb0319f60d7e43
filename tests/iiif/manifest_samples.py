"Manifests for the tests, and what makes one valid"
import itertools, json, os
from pathlib import Path
import iiif_prezi3
from colorized.iiif.choice import (
    add_choice, color_body, find_languages, finish_manifest, validity_remark)
from colorized.iiif.manifest import find_pictures, read_manifest
from colorized.photo.provenance import Provenance
from museum import V3

FOLDER = Path(__file__).parent/'manifests'
MANIFESTS = sorted(p for p in FOLDER.glob('*.json') if p.name!='expected.json')
U = 'https://museum.example'

def counting():
    n = itertools.count(1)
    return lambda kind: f'https://example.org/color/{kind}/{next(n)}'

def read(doc, tmp_path):
    "A document as `read_manifest` gives it"
    (tmp_path/'m.json').write_text(doc if isinstance(doc, str) else json.dumps(doc))
    return read_manifest(tmp_path/'m.json', None, counting())

def painted_bodies(doc):
    return [c['items'][0]['items'][0]['body'] for c in doc['items']]

def colored(m, source='https://example.org/original.json'):
    "A manifest with a made-up color version of every picture"
    (found,_),langs,base = find_pictures(m),find_languages(m),'https://example.org/color'
    provenance = Provenance('m', 'cd'*32, 0, 4, {})
    for p in found:
        row = dict(width=30, height=20, output=f'color/{p.name}.jpg', source_sha256='ab'*32)
        add_choice(p, color_body(p, row, provenance, base, langs, True), base, langs)
    return finish_manifest(m, source, base, len(found)),found

def v2_manifest(tmp_path, sequence={}, canvas={}, annotation={}, resource={}, **more):
    "A manifest of version 2 with one picture, read; each level may say more"
    resource = {'@id': f'{U}/a.jpg', '@type': 'dctypes:Image', 'format': 'image/jpeg', **resource}
    annotation = {'@type': 'oa:Annotation', 'motivation': 'sc:painting', 'on': f'{U}/canvas/1',
                  'resource': resource, **annotation}
    canvas = {'@id': f'{U}/canvas/1', '@type': 'sc:Canvas', 'label': '1', 'width': 100,
              'height': 80, 'images': [annotation], **canvas}
    return read({
        '@context': 'http://iiif.io/api/presentation/2/context.json',
        '@id': f'{U}/m.json',
        '@type': 'sc:Manifest',
        'label': 'An album',
        **more,
        'sequences': [{'@type': 'sc:Sequence', 'canvases': [canvas], **sequence}]}, tmp_path)

def prezi3_manifest():
    "Version 3 as iiif-prezi3 writes it, with about everything that a manifest may hold"
    museum = dict(id=U, type='Text', label={'en': ['Museum']})
    m = iiif_prezi3.Manifest(
        id=f'{U}/m.json',
        label={'fr': ['Un album'], 'en': ['An album']},
        summary={'fr': ['Deux vues']},
        rights='http://rightsstatements.org/vocab/InC/1.0/',
        requiredStatement={'label': {'en': ['Credit']}, 'value': {'en': ['The museum']}},
        metadata=[{'label': {'en': ['Date']}, 'value': {'none': ['1910']}}],
        behavior=['paged'],
        viewingDirection='right-to-left',
        navDate='1910-01-01T00:00:00+00:00',
        homepage=[dict(id=f'{U}/17', type='Text', label={'en': ['Page']}, format='text/html')],
        seeAlso=[dict(id=f'{U}/17.xml', type='Dataset', format='text/xml')],
        partOf=[dict(id=f'{U}/all', type='Collection')],
        provider=[dict(id=U, type='Agent', label={'en': ['Museum']}, homepage=[museum])])
    for i in range(2):
        c = m.make_canvas(id=f'{U}/canvas/{i}', label={'en': [f'p. {i}']}, width=300, height=200)
        service = dict(id=f'{U}/iiif/p{i}', type='ImageService3', profile='level2')
        ids = dict(anno_id=f'{U}/a/{i}', anno_page_id=f'{U}/p/{i}')
        c.add_image(f'{U}/iiif/p{i}/full/max/0/default.jpg', **ids, format='image/jpeg',
                    width=300, height=200, service=[service])
    m.make_range(id=f'{U}/r/1', label={'en': ['All']}).add_item(m.items[0])
    return json.loads(m.json())

def is_text(o):
    "A language map?"
    lists = isinstance(o, dict) and o and all(isinstance(v, list) for v in o.values())
    return lists and all(isinstance(s, str) for v in o.values() for s in v)

def valid(doc):
    """By the letter of the Presentation API, as far as a few lines go; by iiif-prezi3; and by the
    official schema, where IIIF_SCHEMA names the validator's iiif_3_0.json"""
    seen = []
    def walk(o, path=''):
        if isinstance(o, list):
            for i,v in enumerate(o): walk(v, f'{path}/{i}')
        if not isinstance(o, dict): return
        for k in ('label', 'summary', 'value'):
            if k in o and o.get('type')!='TextualBody': assert is_text(o[k]), f'{path}/{k}: {o[k]}'
        for k in ('id', '@id'):
            assert k not in o or o[k].startswith(('http://', 'https://')), f'{path}/{k}: {o[k]}'
        if o.get('type')=='Choice':
            assert len(o['items'])>=2 and all(i['label'] for i in o['items']), path
        kinds = 'Canvas','AnnotationPage','Annotation'
        if path.startswith('/items') and o.get('type') in kinds:
            seen.append(o['id'])
        for k,v in o.items(): walk(v, f'{path}/{k}')
    walk(doc)
    assert len(seen)==len(set(seen))
    assert doc['@context']==V3 or doc['@context'][-1]==V3
    assert all(k in doc for k in ('id', 'type', 'label', 'items'))
    assert validity_remark(doc) is None
    if os.environ.get('IIIF_SCHEMA'):
        import jsonschema
        jsonschema.validate(doc, json.loads(Path(os.environ['IIIF_SCHEMA']).read_text()))
    return True
