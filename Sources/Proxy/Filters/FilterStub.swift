import Snapshot
import Bytes
enum FilterFactory { static func make(_ filter: Filter, snapshot: Snapshot, shared: SharedState) -> FilterInstance { FilterInstance() } }
enum IdentityHeaders { static func contains(_ name: Bytes) -> Bool { false } }
