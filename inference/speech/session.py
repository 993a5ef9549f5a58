"""Set-up of onnxruntime sessions."""

import onnxruntime


def session_options(threads: int = 1) -> onnxruntime.SessionOptions:
    """Return options for sessions that leave CPU time for calls: no spinning, `threads` workers."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options
