"""A private OpenStack Swift with its S3 API, all of it in one process, on loopback and a port of the kernel's choice.

Usage: swift_server.py DIRECTORY [PORT]
Prints its port once the server listens, and exits at the end of its standard input. DIRECTORY keeps the stored objects across
restarts; its file system must support extended attributes. Debian package: python3-swift.
"""
import os
import sys
import threading

import eventlet
import eventlet.wsgi

eventlet.monkey_patch(thread=False)

from swift.common.ring import RingBuilder  # noqa: E402
from swift.common import storage_policy  # noqa: E402
from swift.common.wsgi import loadapp  # noqa: E402

directory = os.path.abspath(sys.argv[1])
wanted_port = int(sys.argv[2]) if len(sys.argv) > 2 else 0
os.makedirs(directory, exist_ok=True)


def listener(port=0):
    return eventlet.listen(("127.0.0.1", port))


def write(name, text):
    path = os.path.join(directory, name)
    with open(path, "w") as file:
        file.write(text)
    return path


write("swift.conf", "[swift-hash]\nswift_hash_path_suffix = solstice\n\n[storage-policy:0]\nname = only\ndefault = yes\n")
import swift.common.utils as utils  # noqa: E402
import swift.common.ring.ring as ring_module  # noqa: E402

utils.SWIFT_CONF_FILE = os.path.join(directory, "swift.conf")
storage_policy.SWIFT_CONF_FILE = utils.SWIFT_CONF_FILE
utils.HASH_PATH_SUFFIX = b"solstice"
utils.validate_hash_conf()
ring_module.validate_configuration = lambda: None

sockets = {}
devices = os.path.join(directory, "devices")
os.makedirs(os.path.join(devices, "disk"), exist_ok=True)
for server in ("account", "container", "object"):
    sockets[server] = listener()
    builder = RingBuilder(4, 1, 0)
    port = sockets[server].getsockname()[1]
    builder.add_dev({"id": 0, "region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "disk", "weight": 1.0,
                     "replication_ip": "127.0.0.1", "replication_port": port, "meta": ""})
    builder.rebalance()
    builder.get_ring().save(os.path.join(directory, server + ".ring.gz"))
    write(server + ".conf", f"""[DEFAULT]
devices = {devices}
mount_check = false
swift_dir = {directory}
disable_fallocate = true
workers = 0
log_level = ERROR
[pipeline:main]
pipeline = {server}-server
[app:{server}-server]
use = egg:swift#{server}
""")
proxy = write("proxy.conf", f"""[DEFAULT]
swift_dir = {directory}
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats bulk s3api tempauth slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
location = us-east-1
min_segment_size = 1
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
""")
silent = open(os.devnull, "w")


def serve(name, conf, socket):
    app = loadapp(conf, global_conf={"log_name": name})
    eventlet.spawn(eventlet.wsgi.server, socket, app, log=silent, log_output=False, debug=False)


for server in ("account", "container", "object"):
    serve(server, os.path.join(directory, server + ".conf"), sockets[server])
front = listener(wanted_port)
serve("proxy", proxy, front)
print(front.getsockname()[1], flush=True)


def end_with_stdin():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_stdin, daemon=True).start()
while True:
    eventlet.sleep(60)
