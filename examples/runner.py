#!/usr/bin/python3
"""A runner for Solstice in Python, over gRPC: an example of docs/reference/runner-protocol.md, and a test that the contract suffices.

Usage: runner.py DESCRIPTORS CONF
  DESCRIPTORS  the contract as a FileDescriptorSet: `buf build -o contract.binpb` in this repository
  CONF         the file of the seed with RUNNER_URL and BOOTSTRAP_TOKEN

Needs grpcio and protobuf (Debian: python3-grpcio python3-protobuf). It runs the steps of a job up to the first that
fails. It does not check out a repository, knows nothing of steps that always run or have a time limit, and keeps no files.
"""
import hashlib
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

STARTED, FINISHED = 1, 2
CALL_SECONDS = 60
PATIENCE_SECONDS = 900
BACKOFF_SECONDS_MAX = 10
# Said of this moment, not of the call: the same call is made again.
PASSING = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
)


def read_assignments(text):
    """The variables of a fragment in which every line is NAME='value', and a quote in a value is '\\''."""
    pairs = re.findall(r"([A-Z0-9_]+)='((?:[^']|'\\'')*)'\n", text)
    return {name: value.replace("'\\''", "'") for name, value in pairs}


class Service:
    """The calls of RunnerService. One at a time; each is repeated while its failure is one that passes."""

    def __init__(self, descriptors, target, token):
        self.pool = descriptor_pool.DescriptorPool()
        with open(descriptors, "rb") as file:
            for each in descriptor_pb2.FileDescriptorSet.FromString(file.read()).file:
                self.pool.Add(each)
        self.factory = message_factory.MessageFactory(self.pool)
        self.channel = grpc.insecure_channel(target)
        self.token = token
        self.lock = threading.Lock()

    def message(self, name):
        return self.factory.GetPrototype(self.pool.FindMessageTypeByName("solstice.v1." + name))

    def call(self, method, **fields):
        request = self.message(method + "Request")
        stub = self.channel.unary_unary(
            "/solstice.v1.RunnerService/" + method,
            request_serializer=request.SerializeToString,
            response_deserializer=self.message(method + "Response").FromString,
        )
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        failures = 0
        with self.lock:
            while True:
                metadata = [("authorization", "Bearer " + self.token)]
                try:
                    return stub(request(**fields), timeout=CALL_SECONDS, metadata=metadata)
                except grpc.RpcError as error:
                    if error.code() not in PASSING or time.monotonic() > give_up_at:
                        raise
                failures += 1
                time.sleep(min(failures, BACKOFF_SECONDS_MAX) * (0.5 + secrets.randbelow(1000) / 1000))


class Job:
    """One job: its output so far, and whether it is to end."""

    def __init__(self, service):
        self.service = service
        self.length = 0
        self.digest = hashlib.sha256()
        self.stop = threading.Event()

    def obey(self, answer):
        if answer.stop:
            self.stop.set()

    def write(self, data):
        self.digest.update(data)
        offset, self.length = self.length, self.length + len(data)
        self.obey(self.service.call("AppendLog", offset=offset, data=data))

    def beat(self, seconds):
        """Signs of life, until the process ends."""
        while True:
            time.sleep(seconds)
            self.obey(self.service.call("AppendLog"))

    def report(self, index, phase, code=0):
        self.obey(
            self.service.call("ReportStep", index=index, phase=phase, exit_code=code, log_offset=self.length)
        )

    def run(self, index, script, environment):
        """Runs one step and returns its exit code, 143 for one that was stopped."""
        self.report(index, STARTED)
        step = subprocess.Popen(
            ["/bin/sh", "-e", "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        killer = threading.Thread(target=self.end, args=(step,), daemon=True)
        killer.start()
        while data := os.read(step.stdout.fileno(), 65536):
            self.write(data)
        code = step.wait()
        code = code if code >= 0 else 128 - code
        self.report(index, FINISHED, code)
        return code

    def end(self, step):
        self.stop.wait()
        for which in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(step.pid, which)
                time.sleep(5)
            except ProcessLookupError:
                return


def main():
    descriptors, conf = sys.argv[1:]
    with open(conf) as file:
        access = read_assignments(file.read())
    service = Service(descriptors, access["RUNNER_URL"].split("://")[1], access["BOOTSTRAP_TOKEN"])
    token = secrets.token_hex(32)
    started = service.call("Start", session_token=token, runner_version="example")
    service.token = token
    plan = read_assignments(started.plan.decode())
    job = Job(service)
    seconds = max(1, started.heartbeat_seconds / 2)
    threading.Thread(target=job.beat, args=(seconds,), daemon=True).start()

    environment = {**os.environ, "CI": "true", "SOLSTICE": "true"}
    environment["SOLSTICE_JOB_ID"] = plan["PLAN_JOB_ID"]
    for number in range(1, int(plan["PLAN_ENV_COUNT"]) + 1):
        name, value = plan[f"PLAN_ENV_{number}"].split("=", 1)
        environment[name] = value
    code = 0
    for number in range(1, int(plan["PLAN_STEP_COUNT"]) + 1):
        code = 143 if job.stop.is_set() else job.run(number - 1, plan[f"PLAN_STEP_{number}_RUN"], environment)
        if code != 0:
            break
    service.call("Finish", exit_code=code, log_length=job.length, log_sha256=job.digest.hexdigest())


main()
