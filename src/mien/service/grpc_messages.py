"""The messages of the Open Inference Protocol over gRPC, made from one table.

Files that a compiler has generated work with one range of protobuf's versions only; a
descriptor that is made when it is needed works with all of them.

Source: kserve/open-inference-protocol, specification/protocol/open_inference_grpc.proto;
triton-inference-server/common, protobuf/grpc_service.proto (ModelStreamInfer).
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

__all__ = ["METHODS", "SERVICE", "message"]

_PACKAGE = "inference"
SERVICE = f"{_PACKAGE}.GRPCInferenceService"

#: A field a line: name, kind, number; "*" means repeated, "%" a map from strings.
_MESSAGES = {
    "ServerLiveRequest": "",
    "ServerLiveResponse": "live bool 1",
    "ServerReadyRequest": "",
    "ServerReadyResponse": "ready bool 1",
    "ModelReadyRequest": "name string 1; version string 2",
    "ModelReadyResponse": "ready bool 1",
    "ServerMetadataRequest": "",
    "ServerMetadataResponse": "name string 1; version string 2; extensions *string 3",
    "ModelMetadataRequest": "name string 1; version string 2",
    "ModelMetadataResponse": "name string 1; versions *string 2; platform string 3; "
    "inputs *ModelMetadataResponse.TensorMetadata 4; "
    "outputs *ModelMetadataResponse.TensorMetadata 5",
    "ModelMetadataResponse.TensorMetadata": "name string 1; datatype string 2; shape *int64 3",
    "InferParameter": "bool_param bool 1; int64_param int64 2; string_param string 3; "
    "double_param double 4; uint64_param uint64 5",
    "InferTensorContents": "bool_contents *bool 1; int_contents *int32 2; int64_contents *int64 3; "
    "uint_contents *uint32 4; uint64_contents *uint64 5; fp32_contents *float 6; "
    "fp64_contents *double 7; bytes_contents *bytes 8",
    "ModelInferRequest": "model_name string 1; model_version string 2; id string 3; "
    "parameters %InferParameter 4; inputs *ModelInferRequest.InferInputTensor 5; "
    "outputs *ModelInferRequest.InferRequestedOutputTensor 6; raw_input_contents *bytes 7",
    "ModelInferRequest.InferInputTensor": "name string 1; datatype string 2; shape *int64 3; "
    "parameters %InferParameter 4; contents InferTensorContents 5",
    "ModelInferRequest.InferRequestedOutputTensor": "name string 1; parameters %InferParameter 2",
    "ModelInferResponse": "model_name string 1; model_version string 2; id string 3; "
    "parameters %InferParameter 4; outputs *ModelInferResponse.InferOutputTensor 5; "
    "raw_output_contents *bytes 6",
    "ModelInferResponse.InferOutputTensor": "name string 1; datatype string 2; shape *int64 3; "
    "parameters %InferParameter 4; contents InferTensorContents 5",
    "ModelStreamInferResponse": "error_message string 1; infer_response ModelInferResponse 2",
}

#: Of each call: the names of its request and its response, without their endings.
METHODS = (
    "ServerLive",
    "ServerReady",
    "ServerMetadata",
    "ModelReady",
    "ModelMetadata",
    "ModelInfer",
)

_Field = descriptor_pb2.FieldDescriptorProto


def message(name: str) -> Any:
    """Return the class of a message."""
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


def _make_pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(
        name="mien/open_inference.proto", package=_PACKAGE, syntax="proto3"
    )
    made: dict[str, descriptor_pb2.DescriptorProto] = {}
    for name in sorted(_MESSAGES, key=lambda each: each.count(".")):
        parent, _, last = name.rpartition(".")
        home = made[parent].nested_type if parent else file.message_type
        made[name] = home.add(name=last)
    for name, fields in _MESSAGES.items():
        for field in filter(None, fields.split("; ")):
            _add_field(made[name], name, *field.split())
        if name == "InferParameter":
            made[name].oneof_decl.add(name="parameter_choice")
            for each in made[name].field:
                each.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def _add_field(
    to: descriptor_pb2.DescriptorProto, owner: str, name: str, kind: str, number: str
) -> None:
    field = to.field.add(name=name, number=int(number), label=_Field.LABEL_OPTIONAL)
    if kind[0] in "*%":
        field.label = _Field.LABEL_REPEATED
    plain = kind.lstrip("*%")
    if kind.startswith("%"):
        entry = to.nested_type.add(name="".join(map(str.title, name.split("_"))) + "Entry")
        entry.options.map_entry = True
        _add_field(entry, owner, "key", "string", "1")
        _add_field(entry, owner, "value", plain, "2")
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{owner}.{entry.name}"
    elif plain in _MESSAGES:
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{plain}"
    else:
        field.type = getattr(_Field, f"TYPE_{plain.upper()}")


_pool = _make_pool()
