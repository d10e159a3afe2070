// Plugin configurations -> typed filters, one mapping for each plugin name.

import Model
import Snapshot

/// The table of mappings. A plugin whose filter does not exist yet has no entry and does nothing.
enum FilterMapping {
    typealias Mapping = @Sendable (_ config: ConfigValue, _ plugin: PluginEntity, _ compilation: Compilation) -> Filter

    /// By plugin name, in Kong's order of priority.
    static let table: [String: Mapping] = [
        "request-termination": { config, _, _ in .requestTermination(requestTermination(config)) }
    ]

    static func filter(for plugin: PluginEntity, in compilation: Compilation) -> Filter? {
        table[plugin.name]?(plugin.config, plugin, compilation)
    }

    private static func requestTermination(_ config: ConfigValue) -> RequestTermination {
        var filter = RequestTermination()
        filter.statusCode = config["status_code"].int ?? 503
        filter.message = config["message"].string ?? ""
        filter.body = config["body"].string ?? ""
        filter.contentType = config["content_type"].string ?? ""
        filter.echo = config["echo"].bool ?? false
        filter.trigger = config["trigger"].string ?? ""
        return filter
    }
}
