// The data plane's executable: arguments and wiring. People start it through `seaway gateway run`.

import CLinux
import Proxy
import Snapshot

let usage = """
    usage: seaway-proxy --control SOCKET --state-dir DIR [--workers N] [--resolver HOST:PORT[,...]]

    The data plane. `seaway gateway run` starts it and gives it listeners and configuration over SOCKET.

    """

func fail(_ message: String) -> Never {
    let text = Array("seaway-proxy: \(message)\n\(usage)".utf8)
    _ = unsafe text.withUnsafeBytes { unsafe write(2, $0.baseAddress, $0.count) }
    exit(2)
}

var options = ProxyOptions()
options.version = productVersion
var arguments = CommandLine.arguments.dropFirst()
while let flag = arguments.popFirst() {
    if flag == "--version" {
        print(productVersion)
        exit(0)
    }
    guard let value = arguments.popFirst() else { fail("\(flag) needs a value") }
    switch flag {
    case "--control": options.control = value
    case "--state-dir": options.stateDirectory = value
    case "--resolver": options.resolvers = value.split(separator: ",").map(String.init)
    case "--workers":
        guard let workers = Int(value), (1...256).contains(workers) else { fail("--workers is 1 to 256") }
        options.workers = workers
    default: fail("unknown option \(flag)")
    }
}
guard !options.control.isEmpty else { fail("--control is missing") }
sys_ignore_sigpipe()
exit(ProxyProcess(options).run())
