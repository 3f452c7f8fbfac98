# Each call goes on to the function's own address with the caller's own Authorization header, and Cloud Functions answers 403 to
# whoever may not invoke the function. The gateway has no service account, so it opens nothing that was closed.
resource "yandex_api_gateway" "this" {
  count = var.api_gateway && local.endpoints.functions != "" ? 1 : 0

  name              = var.name
  description       = "Copies, operations and the cleanup plan."
  execution_timeout = "300"

  spec = jsonencode({
    openapi = "3.0.0"
    info    = { title = var.name, version = "1" }
    paths = {
      for path, methods in local.routes : path => {
        for method, function in methods : method => {
          operationId = "${method}${replace(title(replace(path, "/[^a-zA-Z]+/", " ")), " ", "")}"
          parameters = [
            for name in flatten(regexall("\\{(\\w+)\\}", path)) :
            { name = name, in = "path", required = true, schema = { type = "string" } }
          ]
          responses = { default = { description = "The answer of ${function}." } }
          "x-yc-apigateway-integration" = {
            type = "http"
            url  = "${local.endpoints.functions}/${yandex_function.this[function].id}"
            # A function that is called directly is told its path by this parameter (image_pipeline/http_events.py).
            query    = { "*" = "*", path = path }
            headers  = { "*" = "*", Host = trimprefix(local.endpoints.functions, "https://") }
            timeouts = { connect = 5, read = local.functions[function].timeout }
          }
        }
      }
    }
  })
}
