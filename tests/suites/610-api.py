#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The control socket before a machine runs: shapes of replies, strict JSON, limits. Needs no KVM."""
import json
import os
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.environ['ROOT'], 'tests', 'support'))
from edge import Place, PATIENCE, TGUEST, UnixHTTP, call, wait_for  # noqa: E402
from tap import Tap  # noqa: E402

JSON_FAULT = 'An error occurred when deserializing the json body of a request: '


def fault(t, sock, name, method, path, expect, body=None, raw=None, code=None):
    status, headers, reply = call(sock, method, path, body, raw)
    message = (reply or {}).get('fault_message', '')
    ok = status == 400 and expect in message and '\n' not in message and \
        headers['Content-Type'] == 'application/json'
    if code:
        ok = ok and reply['spore_error']['name'] == code
    t.case(name, ok, f'{status} {reply}')


def done(t, sock, name, method, path, body=None, raw=None):
    status, headers, reply = call(sock, method, path, body, raw)
    t.case(name, status == 204 and reply is None and headers['Content-Length'] is None,
           f'{status} {reply} {headers}')


def check_information(t, sock):
    status, headers, reply = call(sock, 'GET', '/')
    t.case('GET / tells about an idle monitor',
           status == 200 and reply == {'id': 'anonymous-instance', 'state': 'Not started',
                                       'vmm_version': reply['vmm_version'], 'app_name': 'spore'},
           reply)
    t.case('replies name their server and type', headers['Server'] == 'spore' and
           headers['Content-Type'] == 'application/json' and
           int(headers['Content-Length']) > 0, headers)
    status, _, version = call(sock, 'GET', '/version')
    t.case('GET /version', status == 200 and
           version == {'firecracker_version': reply['vmm_version']}, version)
    status, _, reply = call(sock, 'GET', '/machine-config')
    t.case('GET /machine-config has the defaults', status == 200 and
           reply == {'vcpu_count': 1, 'mem_size_mib': 128, 'smt': False,
                     'track_dirty_pages': False, 'huge_pages': 'None'}, reply)
    status, _, reply = call(sock, 'GET', '/vm/config')
    t.case('GET /vm/config has every section', status == 200 and set(reply) == {
        'balloon', 'drives', 'boot-source', 'cpu-config', 'logger', 'machine-config', 'metrics',
        'mmds-config', 'network-interfaces', 'vsock', 'entropy', 'pmem', 'memory-hotplug'}, reply)
    status, _, reply = call(sock, 'GET', '/spore/status')
    t.case('GET /spore/status', status == 200 and reply['outcome'] is None and
           reply['timings'] is None and reply['state'] == 'Not started', reply)
    for path in ('http://localhost/version', '/version/'):
        status, _, reply = call(sock, 'GET', path)
        t.case(f'GET {path} is GET /version', status == 200 and reply == version, reply)


def check_routes(t, sock):
    fault(t, sock, 'an unknown path', 'PUT', '/foo',
          'Invalid request method and/or path: PUT foo.', {})
    fault(t, sock, 'an unknown method', 'DELETE', '/drives/a',
          'Invalid request method and/or path: DELETE drives/a.')
    fault(t, sock, 'a path that goes on', 'PUT', '/drives/a/b', 'Invalid request method', {})
    fault(t, sock, 'a path without its id', 'PUT', '/drives/', 'Invalid request method', {})
    fault(t, sock, 'GET with a body', 'GET', '/', 'GET request cannot have a body.', {})
    fault(t, sock, 'PUT without a body', 'PUT', '/boot-source', 'Empty PUT request.')
    fault(t, sock, 'PATCH without a body', 'PATCH', '/machine-config', 'Empty PATCH request.')
    for method, path, body in (('PATCH', '/vm', {'state': 'Paused'}),
                               ('PUT', '/snapshot/create', {'snapshot_path': 'x'}),
                               ('PUT', '/spore/snapshot', {'snapshot_path': 'x'})):
        fault(t, sock, f'{method} {path} before the start', method, path,
              'The requested operation is not supported before starting the microVM.', body,
              code='STATE')
    fault(t, sock, 'SendCtrlAltDel before the start', 'PUT', '/actions',
          'not supported before starting', {'action_type': 'SendCtrlAltDel'})


def check_json(t, sock):
    put = ('PUT', '/machine-config')
    fault(t, sock, 'not JSON', *put, JSON_FAULT, raw='{', code='JSON')
    fault(t, sock, 'JSON with something behind it', *put, JSON_FAULT, raw='{} {}')
    fault(t, sock, 'an array', *put, 'expected an object', raw='[]')
    fault(t, sock, 'a doubled key', *put, 'uplicate',
          raw='{"vcpu_count":1,"vcpu_count":2,"mem_size_mib":128}')
    fault(t, sock, 'an unknown key', *put, 'unknown field `foo`, expected `vcpu_count`',
          {'vcpu_count': 1, 'mem_size_mib': 128, 'foo': 1}, code='JSON')
    fault(t, sock, 'a missing key', *put, 'missing field `vcpu_count`', {'mem_size_mib': 128})
    fault(t, sock, 'the other missing key', *put, 'missing field `mem_size_mib`', {'vcpu_count': 1})
    fault(t, sock, 'a string for a number', *put,
          'invalid type: string "1" for `vcpu_count`, expected an unsigned integer',
          {'vcpu_count': '1', 'mem_size_mib': 128})
    fault(t, sock, 'a real for a number', *put, 'invalid type: floating point',
          {'vcpu_count': 1.5, 'mem_size_mib': 128})
    fault(t, sock, 'null for a number', *put, 'invalid type: null',
          {'vcpu_count': None, 'mem_size_mib': 128}, code='JSON')
    fault(t, sock, 'a number for a bool', *put, 'expected a boolean',
          {'vcpu_count': 1, 'mem_size_mib': 128, 'smt': 0})
    fault(t, sock, 'a negative number', *put, 'expected 1 to 64',
          {'vcpu_count': -1, 'mem_size_mib': 128})
    fault(t, sock, 'too many vCPUs', *put, 'expected 1 to 64',
          {'vcpu_count': 65, 'mem_size_mib': 128})
    fault(t, sock, 'a number beyond 64 bits', *put, JSON_FAULT,
          raw='{"vcpu_count":1,"mem_size_mib":99999999999999999999999}')
    fault(t, sock, 'an unknown word', *put, 'unknown variant `4M` for `huge_pages`, expected '
          '`None`, `Transparent` or `2M`', {'vcpu_count': 1, 'mem_size_mib': 1, 'huge_pages': '4M'})
    fault(t, sock, 'deep nesting', *put, JSON_FAULT, raw='{"smt":' + '[' * 20000 + ']' * 20000 + '}')
    fault(t, sock, 'a zero byte in a string', 'PUT', '/boot-source', JSON_FAULT,
          raw='{"kernel_image_path":"a\\u0000b"}')
    fault(t, sock, 'bytes that are not UTF-8', 'PUT', '/boot-source', JSON_FAULT,
          raw=b'{"kernel_image_path":"\xff"}')
    status, _, reply = call(sock, 'GET', '/machine-config')
    t.case('nothing of that was taken over', reply['vcpu_count'] == 1 and
           reply['mem_size_mib'] == 128, reply)


def check_refused(t, sock):
    """What spore does not have is refused plainly, its off position accepted."""
    for key, value, word in (('smt', True, 'smt'), ('track_dirty_pages', True, 'track_dirty_pages'),
                             ('huge_pages', '2M', 'huge_pages'), ('cpu_template', 'T2', 'cpu_template')):
        fault(t, sock, f'{key} {value}', 'PUT', '/machine-config', f'`{word}` is not supported',
              {'vcpu_count': 1, 'mem_size_mib': 128, key: value}, code='CONFIG')
    drive = {'drive_id': 'a', 'path_on_host': '/x', 'is_root_device': False}
    fault(t, sock, 'a rate limiter', 'PUT', '/drives/a', '`rate_limiter` is not supported',
          dict(drive, rate_limiter={}))
    fault(t, sock, 'a vhost-user socket', 'PUT', '/drives/a', '`socket` is not supported',
          dict(drive, socket='/s'))
    fault(t, sock, 'modes that disagree', 'PUT', '/drives/a', 'disagree',
          dict(drive, is_read_only=True, mode='rw'))
    fault(t, sock, 'ids that differ', 'PUT', '/drives/b',
          'The id from the path does not match the id from the body!', drive)
    fault(t, sock, 'an id with a dash', 'PUT', '/drives/a-b', '`drive_id` is not valid',
          dict(drive, drive_id='a-b'))
    fault(t, sock, 'a kernel that is not there', 'PUT', '/boot-source',
          'The kernel file cannot be opened: /no/kernel: No such file or directory',
          {'kernel_image_path': '/no/kernel'}, code='FILE')


def check_limits(t, sock):
    status, _, reply = call(sock, 'PUT', '/machine-config', raw=' ' * 51201)
    t.case('a body of 51201 bytes is refused', status == 400 and '51200' in reply['fault_message'],
           f'{status} {reply}')
    status, _, reply = call(sock, 'PUT', '/machine-config', raw=' ' * 51198 + '{}')
    t.case('a body of 51200 bytes is read', 'missing field' in reply['fault_message'], reply)
    c = UnixHTTP(sock)
    c.request('GET', '/', headers={'X-Long': 'x' * 20000})
    t.case('endless headers are refused', c.getresponse().status in (400, 413))
    c.close()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.settimeout(PATIENCE)
        s.connect(sock)
        s.sendall(b'PUT /machine-config HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n')
        t.case('a giant body is refused at its header', b' 413 ' in s.recv(4096))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.settimeout(PATIENCE)
        s.connect(sock)
        s.sendall(b'\x00\xff rubbish\r\n\r\n')
        answer = s.recv(4096)
        t.case('rubbish is refused', answer == b'' or b' 400 ' in answer.split(b'\r\n')[0], answer)
    check_connections(t, sock)


def check_connections(t, sock):
    held = []
    for _ in range(10):
        c = UnixHTTP(sock)
        c.request('GET', '/version')
        c.getresponse().read()
        held.append(c)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.settimeout(PATIENCE)
        s.connect(sock)
        answer = s.recv(4096)
        head, _, body = answer.partition(b'\r\n\r\n')
        t.case('an eleventh connection is sent away', answer.startswith(b'HTTP/1.1 503 ') and
               json.loads(body) == {'error': 'Too many open connections'} and
               b'Content-Length: %d\r\n' % len(body) in head + b'\r\n', answer)
    held[0].request('GET', '/version')
    t.case('the tenth goes on', held[0].getresponse().status == 200)
    for c in held:
        c.close()
    t.case('there is room again', wait_for(lambda: room(sock), 'a free connection'))
    for _ in range(40):  # connections that never ask anything are counted and forgotten too
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.connect(sock)
    t.case('silent connections are forgotten', wait_for(lambda: room(sock), 'a free connection'))


def room(sock):
    try:
        return call(sock, 'GET', '/version')[0] == 200
    except (OSError, http_errors()):
        return False


def http_errors():
    import http.client
    return http.client.HTTPException


def check_keep_alive(t, sock):
    c = UnixHTTP(sock)
    seen = []
    for path in ('/', '/version', '/machine-config'):
        c.request('GET', path)
        r = c.getresponse()
        r.read()
        seen.append((r.status, c.sock is not None))
    t.case('one connection serves many requests', seen == [(200, True)] * 3, seen)
    c.close()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.settimeout(PATIENCE)
        s.connect(sock)
        s.sendall(b'GET /version HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n')
        text = b''
        while True:
            more = s.recv(4096)
            if not more:
                break
            text += more
        t.case('requests may be sent one behind the other',
               text.count(b'HTTP/1.1 200 ') == 2 and b'app_name' in text, text)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.settimeout(PATIENCE)
        s.connect(sock)
        s.sendall(b'PATCH /machine-config HTTP/1.1\r\nContent-Length: 17\r\n'
                  b'Expect: 100-continue\r\n\r\n')
        first = s.recv(4096)
        s.sendall(b'{"vcpu_count": 1}')
        t.case('Expect: 100-continue is answered', b' 100 ' in first and b' 204 ' in s.recv(4096),
               first)
    p = subprocess.run(['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '--unix-socket', sock,
                        '-X', 'PATCH', '-d', '{"vcpu_count":2}',
                        'http://localhost/machine-config'], capture_output=True, text=True)
    t.case('curl speaks to it', p.stdout == '204', p)


def check_draft(t, sock, kernel):
    done(t, sock, 'PUT /machine-config', 'PUT', '/machine-config',
         {'vcpu_count': 2, 'mem_size_mib': 64, 'smt': False})
    done(t, sock, 'PATCH /machine-config', 'PATCH', '/machine-config', {'mem_size_mib': 32})
    fault(t, sock, 'PATCH with nothing in it', 'PATCH', '/machine-config', 'no field', {})
    done(t, sock, 'PUT /boot-source', 'PUT', '/boot-source',
         {'kernel_image_path': kernel, 'initrd_path': None, 'boot_args': 'run=help'})
    done(t, sock, 'PUT /drives', 'PUT', '/drives/data', {
        'drive_id': 'data', 'path_on_host': '/d1', 'is_root_device': False, 'is_read_only': True})
    done(t, sock, 'PUT /drives again replaces it', 'PUT', '/drives/data', {
        'drive_id': 'data', 'path_on_host': '/d2', 'is_root_device': False, 'mode': 'cow'})
    done(t, sock, 'PUT /drives, the root', 'PUT', '/drives/root', {
        'drive_id': 'root', 'path_on_host': '/r', 'is_root_device': True})
    fault(t, sock, 'a second root', 'PUT', '/drives/other',
          'A root block device already exists!',
          {'drive_id': 'other', 'path_on_host': '/r', 'is_root_device': True})
    done(t, sock, 'PUT /entropy', 'PUT', '/entropy', {})
    _, _, reply = call(sock, 'GET', '/vm/config')
    t.case('GET /vm/config shows all that', reply['machine-config']['vcpu_count'] == 2 and
           reply['machine-config']['mem_size_mib'] == 32 and
           [d['path_on_host'] for d in reply['drives']] == ['/d2', '/r'] and
           reply['boot-source']['kernel_image_path'] == kernel and reply['entropy'] == {}, reply)
    fault(t, sock, 'a restore is too late now', 'PUT', '/snapshot/load',
          'Loading a microVM snapshot not allowed after configuring boot-specific resources.',
          {'snapshot_path': '/x', 'resume_vm': True})
    fault(t, sock, 'a start with a disk that is not there', 'PUT', '/actions', '/r: ',
          {'action_type': 'InstanceStart'})
    _, _, reply = call(sock, 'GET', '/')
    t.case('leaves it not started', reply['state'] == 'Not started', reply)


def check_load(t, sock, place):
    load = ('PUT', '/snapshot/load')
    fault(t, sock, 'two files', *load, 'expected the same',
          {'snapshot_path': '/a', 'mem_file_path': '/b'}, code='CONFIG')
    fault(t, sock, 'a backend with another file', *load, 'expected the same',
          {'snapshot_path': '/a', 'mem_backend': {'backend_type': 'File', 'backend_path': '/b'}})
    fault(t, sock, 'a userfault backend', *load, '`Uffd` is not supported',
          {'snapshot_path': '/a', 'mem_backend': {'backend_type': 'Uffd', 'backend_path': '/a'}})
    fault(t, sock, 'clock_realtime', *load, '`clock_realtime` is not supported',
          {'snapshot_path': '/a', 'clock_realtime': True})
    fault(t, sock, 'network overrides', *load, '`network_overrides` is not supported',
          {'snapshot_path': '/a', 'network_overrides': [{}]})
    fault(t, sock, 'a file that is not there', *load, 'Load snapshot error: /a: ',
          {'snapshot_path': '/a', 'mem_file_path': '/a'})
    bad = place.write('bad', 'not a snapshot, but long enough to be looked at ' * 100)
    fault(t, sock, 'a file that is none', *load, bad, {'snapshot_path': bad}, code='MAGIC')
    fault(t, sock, 'the same by /spore/restore', 'PUT', '/spore/restore', bad,
          {'snapshot_path': bad, 'verify': True}, code='MAGIC')
    fault(t, sock, 'a disk without its path', 'PUT', '/spore/restore', 'missing field `path`',
          {'snapshot_path': bad, 'disks': [{'index': 0}]})
    t.case('a refused restore leaves it not started',
           call(sock, 'GET', '/')[2]['state'] == 'Not started')
    fault(t, sock, 'a document with an unknown section', 'PUT', '/spore/config',
          'unknown field `foo`', {'foo': None, 'boot-source': {'kernel_image_path': 'x'}, })
    fault(t, sock, 'a start without a kernel', 'PUT', '/actions', 'missing section `boot-source`',
          {'action_type': 'InstanceStart'}, code='CONFIG')


def check_package(t, place, sock):
    """A client without libcurl says which package it wants."""
    for name in ('libcurl-gnutls.so.4', 'libcurl.so.4'):
        place.write(name, 'not a library')
    place.env['LD_LIBRARY_PATH'] = place.path
    p = place.spore('pause', sock)
    t.case('without libcurl: one line that names the package, status 7', p.returncode == 7 and
           'apt-get install libcurl3-gnutls' in p.stderr and p.stderr.count('\n') == 1, p)
    del place.env['LD_LIBRARY_PATH']
    p = place.spore('pause', sock)
    t.case('with it the answer is the monitor\'s', p.returncode == 2 and
           'not supported before starting' in p.stderr, p)


def check_leaving(t, place):
    p, sock = place.monitor()
    again = place.spore('monitor', '--api-sock', sock)
    t.case('a socket in use is refused', again.returncode == 2 and
           'Failed to open the API socket at' in again.stderr, again)
    status, _, _ = call(sock, 'PUT', '/spore/stop')
    t.case('PUT /spore/stop ends an idle monitor', status == 204 and p.wait(PATIENCE) == 5)
    t.case('and its socket goes with it', not os.path.exists(sock))
    p, sock = place.monitor()
    p.send_signal(signal.SIGTERM)
    t.case('SIGTERM too', p.wait(PATIENCE) == 5 and not os.path.exists(sock))
    p, sock = place.monitor()
    p.kill()
    p.wait()
    t.case('kill -9 leaves its socket', os.path.exists(sock))
    p = place.start('monitor', '--api-sock', sock)
    t.case('which the next one takes over', wait_for(lambda: room(sock), 'the new monitor'))
    p.terminate()
    p.wait()
    plain = place.write('plain', 'a file')
    again = place.spore('monitor', '--api-sock', plain)
    t.case('a file that is no socket is left alone', again.returncode == 2 and
           os.path.getsize(plain) == 6, again)
    long = place.spore('monitor', '--api-sock', place.at('x' * 200))
    t.case('a path that is too long is refused', long.returncode == 2 and
           long.stderr.count('\n') == 1, long)


def main():
    with Tap() as t, Place() as place:
        p, sock = place.monitor()
        check_information(t, sock)
        check_routes(t, sock)
        check_json(t, sock)
        check_refused(t, sock)
        check_limits(t, sock)
        check_load(t, sock, place)
        check_keep_alive(t, sock)
        check_package(t, place, sock)
        check_draft(t, sock, TGUEST)
        t.case('the monitor is still there', p.poll() is None and
               call(sock, 'GET', '/')[0] == 200)
        p.terminate()
        t.case('and has said nothing', p.communicate(timeout=PATIENCE) == (b'', b''))
        check_leaving(t, place)


main()
