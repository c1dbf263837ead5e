"""The console: what a project does, as pages for people in browsers.

Pages are rendered on the server from what the REST API's handlers answer, and are complete without JavaScript. A
page's function, template and pictures lie in the folder of `pages/` that its address names.
"""
