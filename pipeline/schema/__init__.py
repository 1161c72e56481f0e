"""The tf.train.Example messages; protoc 5.29 made example_pb2.py from example.proto.

From the repository's root: `protoc -I. --python_out=. --pyi_out=. headrace/pipeline/schema/example.proto`.
An old protoc on purpose: its output runs with every protobuf from 5.29 on.
"""
