"What is said about the making of color: into a packet, out of a file, judged by ExifTool"
import hashlib, json, time
import pytest
from PIL import Image
from colorized.photo.provenance import (Provenance, carry_rights, expected_properties, merge_xmp,
                                        read_provenance, settings_sha256)
from colorized.photo.reading import read_scan
from colorized.photo.xmp import NAMESPACE, XMP_NAMESPACES, parse_xmp
from colorized.photo.scan import Scan
from colorized.photo.writing import write_color
from exif import change, png_of_imagemagick, tags
from photo_files import IPTC, ab, gray8

made = Provenance('base', 'ab'*32, 7, 16, dict(saturation=1.0, source_sha256='12', name='Möwen'))
said = dict(DigitalSourceType=IPTC+'compositeWithTrainedAlgorithmicMedia', ModelSHA256='ab'*32,
            Seed='7', Steps='16', saturation='1.0', source_sha256='12', name='Möwen')

@pytest.mark.parametrize('term, uri', [
    ('trainedAlgorithmicMedia', IPTC+'trainedAlgorithmicMedia'),
    (IPTC+'compositeSynthetic', IPTC+'compositeSynthetic')])
def test_source_type_is_configurable(term, uri, tmp_path):
    write_color(tmp_path/'a.png', Scan(gray8), ab, Provenance(source_type=term))
    assert tags(tmp_path/'a.png')['XMP-iptcExt:DigitalSourceType']==uri

@pytest.mark.parametrize('term', ['digitalCapture', 'negativeFilm', 'humanEdits', 'blabla',
    'by hand', '', None, 'https://example.org/own', IPTC+'digitalCapture'])
def test_a_source_type_that_does_not_admit_the_color_is_refused(term, tmp_path):
    with pytest.raises(ValueError, match='source_type .*compositeSynthetic.*got'):
        Provenance(source_type=term)
    changed = Provenance()
    changed.source_type = term
    with pytest.raises(ValueError, match='source_type'):
        write_color(tmp_path/'a.png', Scan(gray8), ab, changed)
    assert not [*tmp_path.iterdir()]

def test_coloring_again_leaves_one_note(tmp_path):
    write_color(tmp_path/'a.png', Scan(gray8), ab, Provenance(model='old', seed=1, steps=4))
    write_color(tmp_path/'b.png', read_scan(tmp_path/'a.png'), ab, Provenance(model='new', seed=2))
    t = tags(tmp_path/'b.png')
    assert (t['XMP-colorized:Model'], t['XMP-colorized:Seed'])==('new', 2)
    assert 'XMP-colorized:Steps' not in t

HOSTILE = [
    b'<!DOCTYPE a [<!ENTITY b "c">]><x:xmpmeta xmlns:x="adobe:ns:meta/">&b;</x:xmpmeta>',
    b'<x:xmpmeta', b'\xff\xfe\x00', b'', b'\0'*100, b'<a/>',
    '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'.encode('utf-16')]
@pytest.mark.parametrize('xmp', HOSTILE)
def test_hostile_xmp_is_replaced_with_a_remark(xmp):
    new,remarks = merge_xmp(xmp, Provenance())
    assert b'compositeWithTrained' in new and b'passwd' not in new
    assert len(remarks)==(1 if xmp else 0)

RDF = 'xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
@pytest.mark.parametrize('inside', ['<a/>'*50_000, f'<a>{">"*600_000}</a>'])
def test_xmp_too_large_to_be_read_again_is_replaced_with_a_remark(inside):
    new,(remark,) = merge_xmp(f'<r:RDF {RDF}>{inside}</r:RDF>'.encode(), made)
    assert 'left behind (it ' in remark and len(parse_xmp(new).toxml())<5000

def test_many_properties_are_removed_quickly():
    ns = XMP_NAMESPACES['dc']
    inside = '<b/>'*30_000+f'<d:format xmlns:d="{ns}"/>'+'<d:format/>'*10_000
    old = f'<r:RDF {RDF}><r:Description xmlns:d="{ns}">{inside}</r:Description></r:RDF>'
    began = time.process_time()
    new,remarks = merge_xmp(old.encode(), made)
    assert time.process_time()-began<2.5 and not remarks and b'd:format' not in new

def test_the_subject_and_the_prefix_of_the_original_are_kept():
    old = f'<r:RDF {RDF}><r:Description r:about="uuid:1" xmlns:t="urn:t" t:a="b"/></r:RDF>'
    new = merge_xmp(old.encode(), made)[0].decode()
    assert new.count('r:about="uuid:1"')==2==new.count('<r:Description ') and 't:a="b"' in new
    assert new.startswith('<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n')
    assert new.endswith('\n<?xpacket end="w"?>')

def test_a_packet_in_a_default_namespace_stays_whole():
    old = (f'<RDF {RDF.replace(":r", "")} xmlns:t="urn:t">'
           '<Description about="uuid:1" t:a="b"/></RDF>')
    new,remarks = merge_xmp(old.encode(), made)
    assert not remarks and b't:a="b"' in new and b'rdf:about="uuid:1"' in new
    again,remarks = merge_xmp(new, Provenance(seed=8)) # it can be read
    assert not remarks and b'>8</colorized:Seed>' in again and again.count(b'Seed>')==2

def test_nothing_is_promised_that_lies_behind_the_original():
    "A video, a gain map: in the manner of Google, Adobe and Apple"
    ns = ' '.join(f'xmlns:{k}="{XMP_NAMESPACES[k]}"' for k in
                  ('GCamera', 'Container', 'hdrgm', 'HDRGainMap'))
    old = (f'<r:RDF {RDF} {ns} xmlns:Item="urn:item"><r:Description GCamera:MotionPhoto="1" '
           'GCamera:MicroVideoOffset="1234" hdrgm:Version="1.0" GCamera:Mode="kept" '
           'HDRGainMap:HDRGainMapVersion="65536"><Container:Directory><r:Seq>'
           '<r:li r:parseType="Resource"><Container:Item Item:Semantic="GainMap"/></r:li></r:Seq>'
           '</Container:Directory></r:Description></r:RDF>')
    new,remarks = merge_xmp(old.encode(), made)
    assert b'GCamera:Mode="kept"' in new and not remarks
    for o in b'MotionPhoto',b'MicroVideo',b'hdrgm:V',b'HDRGainMapV',b'Directory':
        assert o not in new

def test_line_breaks_are_kept():
    lines = 'one&#10;two&#9;three&#13;four'
    old = (f'<r:RDF {RDF} xmlns:t="urn:t"><r:Description t:a="{lines}">'
           f'<t:b>{lines}\n</t:b></r:Description></r:RDF>')
    first = parse_xmp(merge_xmp(old.encode(), made)[0]).getElementsByTagName('r:Description')[0]
    assert first.getAttribute('t:a')=='one\ntwo\tthree\rfour'
    assert first.firstChild.firstChild.data=='one\ntwo\tthree\rfour\n'

@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.tif', '.webp'])
def test_files_tell_their_provenance(suffix, tmp_path):
    write_color(tmp_path/f'a{suffix}', Scan(gray8), ab, made)
    assert read_provenance(tmp_path/f'a{suffix}')==said==expected_properties(made)

def test_expected_properties_leave_out_what_is_not_known():
    bare = dict(DigitalSourceType=said['DigitalSourceType'])
    assert expected_properties(Provenance(settings={}))==bare
    assert expected_properties(Provenance(seed=0, settings={}))['Seed']=='0'

def test_settings_have_one_hash():
    want = hashlib.sha256(json.dumps(sorted(said.items())).encode()).hexdigest()
    assert settings_sha256(made)==want
    assert settings_sha256(Provenance(settings=dict(a=1, b=2)))==settings_sha256(
        Provenance(model='other name', settings=dict(b=2, a=1)))

def file_of(tmp_path, *packets):
    whole = [b'<?xpacket begin=""?>'+o.encode()+b'<?xpacket end="w"?>' for o in packets]
    (tmp_path/'a').write_bytes(b'noise'.join([b'', *whole, b'']))
    return tmp_path/'a'
def rdf(attributes):
    return f'<r:RDF {RDF} xmlns:c="{NAMESPACE}"><r:Description {attributes}/></r:RDF>'

def test_attributes_are_read_as_elements_are(tmp_path):
    "as other programs like to rewrite them"
    f = file_of(tmp_path, rdf('c:Seed="3" c:Settings="{&quot;a&quot;: 1.5}" c:Model="m" Steps="9"'))
    assert read_provenance(f)==dict(Seed='3', a='1.5')

def test_packets_without_an_end_cost_little(tmp_path):
    (tmp_path/'a').write_bytes(b'<?xpacket begin'*8000)
    began = time.process_time()
    assert read_provenance(tmp_path/'a') is None and time.process_time()-began<1

def test_an_empty_element_says_nothing(tmp_path):
    f = file_of(tmp_path, rdf('').replace('/></r:RDF>', '><c:Seed/></r:Description></r:RDF>'))
    assert read_provenance(f)==dict(Seed='')

def test_the_first_readable_packet_of_ours_counts(tmp_path):
    theirs = f'<r:RDF {RDF}><r:Description/></r:RDF>'
    torn,bad = rdf('c:Seed="1"')[:-5],rdf('c:Seed="2" c:Settings="{"')
    f = file_of(tmp_path, theirs, torn, bad, rdf('c:Seed="3"'), rdf('c:Seed="4"'))
    assert read_provenance(f)==dict(Seed='3')

def test_files_of_others_and_empty_ones_tell_nothing(tmp_path):
    assert read_provenance(file_of(tmp_path)) is None
    assert read_provenance(file_of(tmp_path, f'<r:RDF {RDF}><r:Description/></r:RDF>')) is None
    (tmp_path/'empty').write_bytes(b'')
    assert read_provenance(tmp_path/'empty') is None

def test_what_looks_like_a_border_inside_a_packet_is_none(tmp_path):
    "In a comment, found by fuzzing; whoever searches a file for packets would stop there"
    border = f'<!-- <?xpacket end="w"?> <?xpacket begin="" {NAMESPACE}?> -->'
    packet,_ = merge_xmp(f'<r:RDF {RDF}>{border}<r:Description/></r:RDF>'.encode(), made)
    assert packet.count(b'<?xpacket')==2
    (tmp_path/'a').write_bytes(packet)
    assert read_provenance(tmp_path/'a')==said

# Rights that Photoshop keeps beside XMP

PAGE = 'https://archive.city/rights?a=1&b=2'
STATED = {'XMP-xmpRights:Marked': True, 'XMP-xmpRights:WebStatement': PAGE}

@pytest.mark.parametrize('form', ['jpg', 'tif'])
def test_photoshops_statements_of_rights_stay_in_every_format(form, tmp_path):
    "beside a title in XMP, and whichever of the two there is"
    photo = tmp_path/f'a.{form}'
    for title in [], ['-XMP-dc:Title=Harbor', '-XMP-rdf:About=uuid:1']:
        Image.fromarray(gray8).save(photo)
        change(photo, f'-Photoshop:URL={PAGE}', '-Photoshop:CopyrightFlag=True', *title)
        assert 'XMP-xmpRights:Marked' not in tags(photo)
        scan = read_scan(photo)
        assert not scan.warnings
        for o in ('jpg', 'png', 'tif', 'webp'):
            out = tmp_path/f'out.{o}'
            assert not write_color(out, scan, ab, overwrite=True)
            found = tags(out)
            assert STATED.items()<=found.items(), o
            assert found.get('XMP-dc:Title')==('Harbor' if title else None)
            assert "about" not in str(found.get('ExifTool:Warning'))
    change(photo, '-Photoshop:CopyrightFlag=False')
    write_color(tmp_path/'one.png', read_scan(photo), ab)
    assert {k for k in tags(tmp_path/'one.png') if 'xmpRights' in k}=={'XMP-xmpRights:WebStatement'}

def test_photoshops_statements_in_a_png_of_imagemagick(tmp_path):
    Image.fromarray(gray8).save(tmp_path/'a.jpg')
    change(tmp_path/'a.jpg', f'-Photoshop:URL={PAGE}', '-Photoshop:CopyrightFlag=True')
    png_of_imagemagick(tmp_path/'a.jpg', tmp_path/'a.png')
    assert not write_color(tmp_path/'out.jpg', read_scan(tmp_path/'a.png'), ab)
    assert STATED.items()<=tags(tmp_path/'out.jpg').items()

def test_what_xmp_says_of_rights_stands_and_the_rest_is_named(tmp_path):
    Image.fromarray(gray8).save(tmp_path/'a.jpg')
    change(tmp_path/'a.jpg', f'-Photoshop:URL={PAGE}', '-Photoshop:CopyrightFlag=True',
           '-XMP-xmpRights:WebStatement=https://other.city', '-XMP-xmpRights:Marked=True')
    said, = read_scan(tmp_path/'a.jpg').warnings
    assert said==("Photoshop's address of a page on copyright was left behind: "
                  "XMP says otherwise")
    change(tmp_path/'a.jpg', f'-XMP-xmpRights:WebStatement={PAGE}')
    scan = read_scan(tmp_path/'a.jpg')
    assert not scan.warnings
    write_color(tmp_path/'out.png', scan, ab)
    assert STATED.items()<=tags(tmp_path/'out.png').items()

@pytest.mark.parametrize('xmp, resources, lost', [
    (b'<torn', {1034: b'\1', 1035: b'x'}, ['mark of copyright', 'address of a page on copyright']),
    (b'<torn', {1034: b'\1'}, ['mark of copyright']),
    (None, {1035: b'a\x01b'}, ['address of a page on copyright'])])
def test_statements_that_xmp_cannot_hold_are_named_one_by_one(xmp, resources, lost):
    notes = []
    assert carry_rights(xmp, resources, notes)==xmp
    assert notes==[f"Photoshop's {o} was left behind: XMP cannot be read, or cannot hold it"
                   for o in lost]

@pytest.mark.parametrize('resources', [{}, {1034: b'\0'}, {1034: b'', 1035: b''}, {1035: None}])
def test_resources_that_state_no_rights_leave_xmp_as_it_is(resources):
    notes = []
    assert carry_rights(b'<torn', resources, notes)==b'<torn' and not notes

def test_an_address_as_a_resource_of_rdf_or_in_latin_1():
    there = (f'<r:RDF {RDF}><r:Description xmlns:u="http://ns.adobe.com/xap/1.0/rights/">'
             '<u:WebStatement r:resource="https://a.city"/></r:Description></r:RDF>').encode()
    notes = []
    assert carry_rights(there, {1035: b'https://a.city'}, notes)==there and not notes
    assert 'Möwen'.encode() in carry_rights(None, {1035: 'Möwen'.encode('latin-1')}, notes)
