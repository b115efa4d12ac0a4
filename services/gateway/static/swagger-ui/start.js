// Shows the API of this gateway; a file of its own, so the page needs no inline script.
"use strict";

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null, // the document is sent to nobody
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
